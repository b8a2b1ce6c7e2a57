// subresources.kubevirt.io: start, stop and restart of VirtualMachines (and Tandem's hibernate and resume), by changing the object through the same door as
// everybody (kubevirt pkg/virt-api/rest/lifecycle.go, 1.9). What needs the running guest (pause, console …) is given in
// by main.ts.

import { ApiError, notFound } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { copyJson } from '../../api/walk/plain.ts'
import { formerStrategyAnnotation, hibernatedStrategy } from '../../kinds/kubevirt/hibernation.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, type Engine } from '../call.ts'
import type { Stored } from '../objects.ts'
import { updateObject } from '../persist.ts'
import { expandHandlers } from './kubevirt-expand.ts'
import { memoryDumpHandlers } from './kubevirt-memory-dump.ts'
import { migrateHandlers } from './kubevirt-migrate.ts'
import { objectGraphHandlers } from './kubevirt-object-graph.ts'
import { volumeHandlers } from './kubevirt-volumes.ts'

const accepted: ApiResponse = { status: 202, text: '' }

const refused = (call: KubevirtCall, message: string): ApiError =>
  new ApiError(
    'Conflict',
    `Operation cannot be fulfilled on virtualmachine.kubevirt.io "${call.info.name}": ${message}`,
    {
      name: call.info.name,
      group: 'kubevirt.io',
      kind: 'virtualmachine',
    },
  )

/** A call whose URL names no kind of the registry. */
export type KubevirtCall = Omit<Call, 'resource'>

export type KubevirtHandler = (call: KubevirtCall) => Promise<ApiResponse>

interface Machine {
  call: Call
  current: Stored
  strategy: string
  instance: StoredObject | undefined
}

interface StateChange {
  action: 'Start' | 'Stop'
  uid?: string
  data?: Record<string, string>
}

const isFinal = (instance: StoredObject): boolean => ['Succeeded', 'Failed'].includes(instance.status?.phase)

export const machineHandlers: Record<string, KubevirtHandler> = {
  'virtualmachines/start': (call) => changing(call, start),
  'virtualmachines/stop': (call) => changing(call, stop),
  'virtualmachines/restart': (call) => changing(call, restart),
  'virtualmachines/hibernate': (call) => changing(call, hibernate),
  'virtualmachines/resume': (call) => changing(call, resume),
  ...expandHandlers,
  ...memoryDumpHandlers,
  ...migrateHandlers,
  ...objectGraphHandlers,
  ...volumeHandlers,
}

async function changing(
  call: KubevirtCall,
  decide: (machine: Machine, options: Record<string, any>) => Promise<unknown>,
): Promise<ApiResponse> {
  const { engine, info } = call
  const resource = engine.registry.preferred('kubevirt.io', 'virtualmachines')
  const instances = engine.registry.preferred('kubevirt.io', 'virtualmachineinstances')
  if (!resource || !instances) throw notFound('virtualmachine', info.name, 'kubevirt.io')
  const options = readOptions(call)
  const key = engine.objects.key(resource, info.namespace, info.name)
  await engine.objects.exclusively(key, async () => {
    const current = engine.objects.get(resource, info.namespace, info.name)
    if (!current) throw notFound('virtualmachine', info.name, 'kubevirt.io')
    const instance = engine.objects.get(instances, info.namespace, info.name)?.object
    const own: Call = {
      ...call,
      resource,
      info: { ...info, group: 'kubevirt.io', resource: 'virtualmachines', subresource: '' },
    }
    await decide({ call: own, current, strategy: strategyOf(current.object), instance }, options)
  })
  return accepted
}

function readOptions(call: KubevirtCall): Record<string, any> {
  try {
    const { value } = readBody(
      { ...call.request, headers: { ...call.request.headers, 'content-type': 'application/json' } },
      false,
    )
    return (value as Record<string, any>) ?? {}
  } catch {
    throw badRequest('Can not unmarshal Request body to struct, error: the body is not JSON')
  }
}

function strategyOf(machine: ApiObject): string {
  const { running, runStrategy } = machine.spec ?? {}
  if (runStrategy) return runStrategy
  return running ? 'Always' : 'Halted'
}

async function start(machine: Machine, options: Record<string, any>): Promise<unknown> {
  const { call, strategy, instance } = machine
  const phase = instance?.status?.phase
  if (instance && phase && !isFinal(instance) && phase !== 'Unknown') throw refused(call, 'VM is already running')
  const paused = options.paused === true
  const data = paused ? { data: { paused: 'true' } } : {}
  switch (strategy) {
    case 'Halted':
      if (paused) return request(machine, options, [{ action: 'Start', ...data }])
      return setStrategy(machine, options, 'Always')
    case hibernatedStrategy:
      return resume(machine, options)
    case 'RerunOnFailure':
      if (phase === 'Failed') throw refused(call, `${strategy} does not support starting VM from failed state`)
      break
    case 'Manual':
      break
    default:
      throw refused(call, `${strategy} does not support manual start requests`)
  }
  const stopFirst: StateChange[] = instance ? [{ action: 'Stop', uid: instance.metadata.uid }] : []
  return request(machine, options, [...stopFirst, { action: 'Start', ...data }])
}

async function stop(machine: Machine, options: Record<string, any>): Promise<unknown> {
  const { call, strategy } = machine
  const instance = machine.instance && !isFinal(machine.instance) ? machine.instance : undefined
  const grace = options.gracePeriod
  if (typeof grace === 'number' && grace < 0) throw badRequest('gracePeriod has to be greater or equal to 0')
  // One that starts again by itself is stopped by its run strategy, also while it waits for its next attempt.
  if (strategy === 'Always' || strategy === 'Once') {
    if (instance && typeof grace === 'number') await shortenGrace(machine, options, grace)
    return setStrategy(machine, options, 'Halted')
  }
  if (strategy === 'WaitAsReceiver') throw refused(call, `${strategy} does not support manual stop requests`)
  if (!instance) throw refused(call, 'VM is not running')
  const shorter = typeof grace === 'number' && grace < (instance.spec?.terminationGracePeriodSeconds ?? 30)
  if (strategy === 'Halted' && !shorter)
    throw refused(call, 'Halted only supports manual stop requests with a shorter graceperiod')
  // The controller that takes the instance down waits as long as the instance says.
  if (typeof grace === 'number') await shortenGrace(machine, options, grace)
  if (strategy === 'Halted' || strategy === hibernatedStrategy) return undefined
  return request(machine, options, [{ action: 'Stop', uid: instance.metadata.uid }])
}

async function restart(machine: Machine, options: Record<string, any>): Promise<unknown> {
  const { call, strategy, instance } = machine
  const grace = options.gracePeriodSeconds
  if (typeof grace === 'number' && grace > 0)
    throw badRequest('For force restart, only gracePeriod=0 is supported for now')
  if (typeof grace === 'number' && grace < 0) throw badRequest('gracePeriod has to be greater or equal to 0')
  if (['Halted', 'Once', 'WaitAsReceiver', hibernatedStrategy].includes(strategy))
    throw refused(call, `RunStategy ${strategy} does not support manual restart requests`)
  // Whatever its strategy, upstream names this one here.
  if (!instance) throw refused(call, 'VM is not running: Halted')
  if (grace === 0) await shortenGrace(machine, options, 0)
  return request(machine, options, [{ action: 'Stop', uid: instance.metadata.uid }, { action: 'Start' }])
}

async function hibernate(machine: Machine, options: Record<string, any>): Promise<unknown> {
  const { call, current, strategy, instance } = machine
  if (strategy === hibernatedStrategy) throw refused(call, 'VM is hibernated already')
  if (instance?.status?.phase !== 'Running' || instance.metadata.deletionTimestamp)
    throw refused(call, 'VM is not running')
  const next = copyJson<ApiObject>(current.object)
  next.metadata.annotations = { ...next.metadata.annotations, [formerStrategyAnnotation]: strategy }
  delete next.spec.running
  next.spec.runStrategy = hibernatedStrategy
  return updateObject(call, current, next, { ...writing(options), subresource: '' })
}

/** Back to the run strategy from before, and running whatever it is. */
async function resume(machine: Machine, options: Record<string, any>): Promise<unknown> {
  const { call, current, strategy } = machine
  if (strategy !== hibernatedStrategy) throw refused(call, 'VM is not hibernated')
  const next = copyJson<ApiObject>(current.object)
  const { [formerStrategyAnnotation]: former, ...annotations } = next.metadata.annotations ?? {}
  next.metadata.annotations = annotations
  next.spec.runStrategy = former && former !== 'Halted' ? former : 'Always'
  const stored = await updateObject(call, current, next, { ...writing(options), subresource: '' })
  if (next.spec.runStrategy !== 'Manual') return stored
  return request({ ...machine, current: stored }, options, [{ action: 'Start' }])
}

const dry = (options: Record<string, any>): boolean => Array.isArray(options.dryRun) && options.dryRun.includes('All')

const writing = (options: Record<string, any>) => ({
  dryRun: dry(options),
  fieldManager: 'virt-api',
  fieldValidation: 'Ignore' as const,
})

function setStrategy({ call, current }: Machine, options: Record<string, any>, strategy: string): Promise<Stored> {
  const next = copyJson<ApiObject>(current.object)
  // `running` stays the field of those who use it.
  if (next.spec.running !== undefined) next.spec.running = strategy === 'Always'
  else next.spec.runStrategy = strategy
  return updateObject(call, current, next, { ...writing(options), subresource: '' })
}

async function request(
  { call, current }: Machine,
  options: Record<string, any>,
  changes: StateChange[],
): Promise<Stored> {
  const waiting: StateChange[] = current.object.status?.stateChangeRequests ?? []
  if (waiting.length > 0) {
    // A start asked for after a stop that still runs is the one thing that may be added.
    const startAfterStop =
      waiting.length === 1 && waiting[0]!.action === 'Stop' && changes.length === 1 && changes[0]!.action === 'Start'
    if (!startAfterStop) throw refused(call, 'unable to complete request: stop/start already underway')
  }
  const next = copyJson<ApiObject>(current.object)
  next.status = { ...next.status, stateChangeRequests: [...waiting, ...changes] }
  const own = { ...call, info: { ...call.info, subresource: 'status' } }
  return updateObject(own, current, next, { ...writing(options), subresource: 'status' })
}

async function shortenGrace({ call, instance }: Machine, options: Record<string, any>, seconds: number): Promise<void> {
  const engine: Engine = call.engine
  const resource = engine.registry.preferred('kubevirt.io', 'virtualmachineinstances')!
  const key = engine.objects.key(resource, call.info.namespace, instance!.metadata.name)
  await engine.objects.exclusively(key, async () => {
    const current = engine.objects.get(resource, call.info.namespace, instance!.metadata.name)
    if (!current || dry(options)) return
    const next = copyJson<ApiObject>(current.object)
    next.spec.terminationGracePeriodSeconds = seconds
    await engine.objects.replace(resource, current, next)
  })
}
