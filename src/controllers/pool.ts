// VirtualMachinePool: makes, updates and removes its machines.

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { selectorMatcher, selectorText } from '../api/selector.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { withCondition, withoutCondition, withReplicaFailure } from './conditions.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
} from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { claimObjects } from './ownership.ts'
import { isNamespaceTerminating } from './pod-control.ts'
import { machineOf, type PoolPlan, planPool, updatedMachine } from './pool-plan.ts'
import { virtualMachineInstances, virtualMachinePools, virtualMachines } from './resources.ts'

/** A machine that fails to start changes nothing by itself: it is looked at again. */
const healingLookMs = 30_000

export interface Failure {
  reason: string
  message: string
}

/** Of a pool or a VirtualMachineInstanceReplicaSet. Pure. */
export function replicasStatus(
  object: StoredObject,
  replicas: number,
  readyReplicas: number,
  failure: Failure | undefined,
  now: number,
): Record<string, unknown> {
  const time = formatTime(now)
  const set = (conditions: any, type: string, value: Failure | undefined) =>
    value
      ? withCondition(conditions, { type, status: 'True', ...value, lastProbeTime: null }, time)
      : withoutCondition(conditions, type)
  const paused = object.spec.paused ? { reason: 'Paused', message: 'Controller got paused' } : undefined
  const told = failure && { ...failure, lastProbeTime: null }
  const conditions = withReplicaFailure(set(object.status?.conditions, 'ReplicaPaused', paused), told, time)
  return {
    ...object.status,
    replicas,
    readyReplicas,
    labelSelector: selectorText(selectorMatcher(object.spec.selector)),
    conditions,
  }
}

export const virtualMachinePool: ControllerDefinition = {
  name: 'virtualmachinepool',
  start(context) {
    const owned = controllerOfKind('VirtualMachinePool')
    const machines = context.informers.informer(virtualMachines)
    return reconcileOn(
      context,
      'virtualmachinepool',
      [
        { ref: virtualMachinePools, keys: itself },
        { ref: virtualMachines, keys: owned },
        {
          ref: virtualMachineInstances,
          keys: (instance) => {
            const machine = machines.get(objectKey(instance))
            return machine ? owned(machine) : []
          },
        },
      ],
      createSync(context),
    )
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('virtualmachinepool-controller')
  const pools = informers.informer(virtualMachinePools)
  const machineInformer = informers.informer(virtualMachines)
  const instanceInformer = informers.informer(virtualMachineInstances)

  async function create(pool: StoredObject, number: number): Promise<void> {
    const wanted = machineOf(pool, number)
    try {
      await client.create(virtualMachines, wanted)
      record(pool, 'Normal', 'SuccessfulCreate', `Created VM ${wanted.metadata.namespace}/${wanted.metadata.name}`)
    } catch (error) {
      if (isApiError(error, 'AlreadyExists')) return
      record(pool, 'Warning', 'FailedCreate', `Error creating VM ${wanted.metadata.name}: ${(error as Error).message}`)
      throw error
    }
  }

  async function remove(pool: StoredObject, ref: typeof virtualMachines, object: StoredObject): Promise<void> {
    const { name, namespace, uid } = object.metadata
    try {
      await client.delete(ref, name, namespace, { preconditions: { uid } })
      record(pool, 'Normal', 'SuccessfulDelete', `Deleted ${object.kind} ${name} of the pool`)
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error
    }
  }

  async function act(pool: StoredObject, plan: PoolPlan): Promise<(Failure & { error: unknown }) | undefined> {
    const steps: [reason: string, work: (() => Promise<unknown>)[]][] = [
      ['FailedDelete', plan.delete.map((machine) => () => remove(pool, virtualMachines, machine))],
      ['FailedCreate', plan.create.map((number) => () => create(pool, number))],
      [
        'FailedUpdate',
        plan.update.map((machine) => () => client.update(virtualMachines, updatedMachine(pool, machine))),
      ],
      ['FailedUpdate', plan.restart.map((instance) => () => remove(pool, virtualMachineInstances, instance))],
    ]
    for (const [reason, work] of steps) {
      const failed = (await Promise.allSettled(work.map((one) => one()))).find(({ status }) => status === 'rejected')
      if (failed?.status !== 'rejected' || isNamespaceTerminating(failed.reason)) continue
      return { reason, message: failed.reason.message, error: failed.reason }
    }
    return undefined
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const pool = pools.get(key)
    if (!pool) return undefined
    const { namespace, deletionTimestamp } = pool.metadata
    const { matches } = selectorMatcher(pool.spec.selector)
    const owner = { ref: virtualMachinePools, object: pool }
    const machines = await claimObjects(client, owner, virtualMachines, machineInformer.list(namespace), (machine) =>
      matches(machine.metadata.labels),
    )
    const instances = new Map(
      machines.flatMap((machine) => {
        const instance = instanceInformer.get(objectKey(machine))
        return instance ? [[machine.metadata.name, instance] as const] : []
      }),
    )
    const failure = deletionTimestamp ? undefined : await act(pool, planPool(pool, machines, instances, clock.now()))
    const active = machines.filter((machine) => !machine.metadata.deletionTimestamp)
    const ready = active.filter((machine) => machine.status?.ready === true).length
    const shown = failure && { reason: failure.reason, message: failure.message }
    const status = replicasStatus(pool, active.length, ready, shown, clock.now())
    if (!semanticallyEqual(status, pool.status)) await client.updateStatus(virtualMachinePools, { ...pool, status })
    if (failure) throw failure.error
    return pool.spec.autohealing ? { requeueAfter: healingLookMs } : undefined
  }
}
