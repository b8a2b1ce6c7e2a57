// Dumps of a machine's memory into a claim: the claim becomes a volume of the instance, the host writes the dump
// (src/host/machines/memory-dump.ts), and the machine's status follows. KubeVirt 1.9, pkg/storage/memorydump.

import { isApiError } from '../api/errors.ts'
import { objectKey, type StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { persistentVolumeClaims, virtualMachineInstances, virtualMachines } from './resources.ts'

const dumpAnnotation = 'kubevirt.io/memory-dump'

export interface DumpStep {
  /** Whether the claim is to be among the volumes; undefined: as it is. */
  machineHas?: boolean
  instanceHas?: boolean
  /** What the claim's annotation says. */
  annotation?: string
  /** The machine's status.memoryDumpRequest; null: none any more. */
  request: Record<string, any> | null
}

const has = (spec: any, name: string): boolean => (spec?.volumes ?? []).some((volume: any) => volume.name === name)

/** What is to be done now, and what the request says once it is. Pure. */
export function dumpStep(machine: StoredObject, instance: StoredObject | undefined): DumpStep {
  const request = machine.status!.memoryDumpRequest
  const name: string = request.claimName
  const told = instance?.status?.volumeStatus?.find((one: any) => one.name === name)
  const isLive = instance?.status?.phase === 'Running' && !instance.metadata.deletionTimestamp
  const inMachine = has(machine.spec.template?.spec, name)
  const inInstance = has(instance?.spec, name)
  switch (request.remove ? 'Dissociating' : request.phase) {
    case 'Associating':
      if (!isLive) return { request }
      return {
        machineHas: true,
        instanceHas: true,
        request: inMachine && inInstance ? { ...request, phase: 'InProgress' } : request,
      }
    case 'InProgress':
      return { request: isLive ? { ...request, ...progress(told) } : { ...request, ...interrupted } }
    case 'Unmounting':
    case 'Failed': {
      const isDone = request.phase === 'Unmounting' && !inInstance && !told
      return {
        instanceHas: false,
        annotation: request.phase === 'Failed' ? 'Memory dump failed' : request.fileName,
        request: isDone ? { ...request, phase: 'Completed' } : request,
      }
    }
    case 'Dissociating':
      return {
        machineHas: false,
        instanceHas: false,
        request: inMachine || inInstance || told ? { ...request, phase: 'Dissociating' } : null,
      }
    default:
      return { request }
  }
}

const interrupted = { phase: 'Failed', message: 'the virtual machine was stopped before its memory was dumped' }

function progress(told: any): object {
  const { startTimestamp, endTimestamp, targetFileName } = told?.memoryDumpVolume ?? {}
  const times = { ...(startTimestamp && { startTimestamp }), ...(endTimestamp && { endTimestamp }) }
  if (told?.phase === 'MemoryDumpCompleted') return { ...times, phase: 'Unmounting', fileName: targetFileName }
  if (told?.phase === 'MemoryDumpFailed') return { ...times, phase: 'Failed', message: told.message }
  return times
}

export const memoryDump: ControllerDefinition = {
  name: 'memory-dump',
  start(context) {
    const machines = context.informers.informer(virtualMachines)
    const isAsked = (machine: StoredObject | undefined) => machine?.status?.memoryDumpRequest !== undefined
    return reconcileOn(
      context,
      'memory-dump',
      [
        { ref: virtualMachines, keys: (machine) => (isAsked(machine) ? itself(machine) : []) },
        { ref: virtualMachineInstances, keys: (one) => (isAsked(machines.get(objectKey(one))) ? itself(one) : []) },
      ],
      createSync(context),
    )
  },
}

function createSync({ client, informers }: ControllerContext) {
  const machines = informers.informer(virtualMachines)
  const instances = informers.informer(virtualMachineInstances)

  /** True when something was written. */
  async function setVolume(
    ref: typeof virtualMachines,
    object: StoredObject,
    name: string,
    isThere: boolean | undefined,
  ): Promise<boolean> {
    const isMachine = ref === virtualMachines
    const spec = isMachine ? object.spec.template?.spec : object.spec
    if (isThere === undefined || has(spec, name) === isThere) return false
    const others = (spec?.volumes ?? []).filter((volume: any) => volume.name !== name)
    const volumes = isThere ? [...others, { name, memoryDump: { claimName: name, hotpluggable: true } }] : others
    const { namespace, resourceVersion } = object.metadata
    const change = isMachine ? { template: { spec: { volumes } } } : { volumes }
    await client.patch(ref, object.metadata.name, namespace, 'merge', { metadata: { resourceVersion }, spec: change })
    return true
  }

  async function annotate(namespace: string, name: string, value: string): Promise<void> {
    const patch = { metadata: { annotations: { [dumpAnnotation]: value } } }
    await client.patch(persistentVolumeClaims, name, namespace, 'merge', patch).catch((error: unknown) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const machine = machines.get(key)
    const request = machine?.status?.memoryDumpRequest
    if (!machine || !request || machine.metadata.deletionTimestamp) return undefined
    const instance = instances.get(key)
    const step = dumpStep(machine, instance)
    const { claimName } = request
    const changed = await setVolume(virtualMachines, machine, claimName, step.machineHas)
    const told = instance && (await setVolume(virtualMachineInstances, instance, claimName, step.instanceHas))
    // The informers know of it, and what comes next is decided on what is then.
    if (changed || told) return { requeueAfter: 0 }
    if (semanticallyEqual(step.request ?? undefined, request)) return undefined
    if (step.request?.phase === 'Completed' || step.request?.phase === 'Failed') {
      const text = step.request.phase === 'Failed' ? 'Memory dump failed' : step.request.fileName
      if (text) await annotate(machine.metadata.namespace!, claimName, text)
    }
    const { memoryDumpRequest: _, ...rest } = machine.status!
    const status = step.request ? { ...rest, memoryDumpRequest: step.request } : rest
    await client.updateStatus(virtualMachines, { ...machine, status })
    return undefined
  }
}
