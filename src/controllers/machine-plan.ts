// What a VirtualMachine wants to happen to its instance now. Pure; run strategies of KubeVirt's virt-controller
// (pkg/virt-controller/watch/vm, 1.9).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { resumeAnnotation, savedAnnotation } from '../kinds/kubevirt/hibernation.ts'
import { receiverAnnotation } from '../kinds/kubevirt/instance-marks.ts'
import { fixedPart } from '../kinds/kubevirt/live-changes.ts'
import { cardsOf } from '../kinds/kubevirt/live-networks.ts'
import { startFromAnnotation } from '../kinds/kubevirt/template-start.ts'
import { isBeingFilled } from '../kinds/snapshot/memory.ts'
import { moment } from './moment.ts'
import { controllerReference } from './ownership.ts'
import { isFinished } from './pod-state.ts'
import { templateHash } from './template-hash.ts'

export type RunStrategy = 'Always' | 'Halted' | 'Manual' | 'RerunOnFailure' | 'Once' | 'WaitAsReceiver' | 'Hibernated'

/** Holds an instance until nothing of it runs any more; the host takes it away. */
export const instanceFinalizer = 'foregroundDeleteVirtualMachine'
export const machineFinalizer = 'kubevirt.io/virtualMachineControllerFinalize'
export const generationAnnotation = 'kubevirt.io/vm-generation'
/** Of the template that the instance was made from: tells whether a restart is needed. */
export const templateAnnotation = 'tandem.dev/template-hash'
/** Cards and networks of the template, as far as the instance has them: what else it has was filled in. */
export const networksAnnotation = 'tandem.dev/template-networks'

export interface StateChange {
  action: 'Start' | 'Stop'
  uid?: string
  data?: Record<string, string>
}

export type Step =
  | { kind: 'none' }
  | { kind: 'start'; paused: boolean }
  /** `again`: a start is asked for as soon as the instance is gone. */
  | { kind: 'stop'; again: boolean }
  /** The instance is stopped with its memory saved. */
  | { kind: 'hibernate' }
  /** The machine went on: what was saved is no more. */
  | { kind: 'resumed' }
  /** A halted machine that was asked to start (paused): the strategy becomes Always. */
  | { kind: 'always' }
  | { kind: 'wait'; ms: number }

export const strategyOf = (machine: StoredObject): RunStrategy =>
  machine.spec.runStrategy ?? (machine.spec.running ? 'Always' : 'Halted')

/** Its memory waits on disk. */
export const isSaved = (machine: StoredObject): boolean => machine.metadata.annotations?.[savedAnnotation] === 'true'

export const requestsOf = (machine: StoredObject): StateChange[] => machine.status?.stateChangeRequests ?? []

const startRequest = (machine: StoredObject): StateChange | undefined => {
  const [first] = requestsOf(machine)
  return first?.action === 'Start' ? first : undefined
}

function isStopRequested(machine: StoredObject, instance: StoredObject): boolean {
  const [first] = requestsOf(machine)
  return first?.action === 'Stop' && first.uid === instance.metadata.uid
}

/** Requests that have been fulfilled are dropped from the front. */
export function openRequests(machine: StoredObject, instance: StoredObject | undefined): StateChange[] {
  const [first, ...rest] = requestsOf(machine)
  if (!first) return []
  // An instance that is over, or on its way out, does not answer a request to start.
  const isUp = instance !== undefined && !isFinished(instance) && !instance.metadata.deletionTimestamp
  const isDone = first.action === 'Start' ? isUp : !instance || instance.metadata.uid !== first.uid
  return isDone ? rest : [first, ...rest]
}

export function nextStep(machine: StoredObject, instance: StoredObject | undefined, now: number): Step {
  if (machine.metadata.deletionTimestamp) {
    const isOrphaning = machine.metadata.finalizers?.includes('orphan')
    return instance && !instance.metadata.deletionTimestamp && !isOrphaning
      ? { kind: 'stop', again: false }
      : { kind: 'none' }
  }
  if (instance?.metadata.deletionTimestamp) return { kind: 'none' }
  if (instance && strategyOf(machine) === 'Hibernated') return { kind: 'hibernate' }
  if (instance?.status?.phase === 'Running' && isSaved(machine)) return { kind: 'resumed' }
  return instance ? stepWith(machine, instance) : stepWithout(machine, now)
}

function stepWith(machine: StoredObject, instance: StoredObject): Step {
  const stop: Step = { kind: 'stop', again: false }
  const none: Step = { kind: 'none' }
  const isStopping = isStopRequested(machine, instance)
  switch (strategyOf(machine)) {
    case 'Always':
      return isStopping || isFinished(instance) ? stop : none
    case 'RerunOnFailure':
      if (instance.status?.phase === 'Failed') return { kind: 'stop', again: true }
      return isStopping || isFinished(instance) ? stop : none
    case 'Manual':
      return isStopping ? stop : none
    case 'Once':
    case 'WaitAsReceiver':
      return none
    case 'Halted':
    case 'Hibernated':
      return stop
  }
}

/** Its disks are being read or made: it may not write to them now. */
const isHeld = (machine: StoredObject): boolean =>
  Boolean(machine.status?.snapshotInProgress || machine.status?.restoreInProgress) || isBeingFilled(machine)

function stepWithout(machine: StoredObject, now: number): Step {
  if (isHeld(machine)) return { kind: 'none' }
  const request = startRequest(machine)
  const paused = request?.data?.paused === 'true'
  const strategy = strategyOf(machine)
  const start: Step = { kind: 'start', paused }
  if (strategy === 'Hibernated') return { kind: 'none' }
  if (strategy === 'Halted') return request ? { kind: 'always' } : { kind: 'none' }
  if (strategy === 'Manual') return request ? start : { kind: 'none' }
  if (strategy === 'Once' || strategy === 'WaitAsReceiver') return start
  // It ran to its end, or was stopped by hand, under the same strategy: it is not started by itself.
  if (strategy === 'RerunOnFailure' && !request && machine.status?.runStrategy === strategy) return { kind: 'none' }
  const wait = moment(machine.status?.startFailure?.retryAfterTimestamp) - now
  return wait > 0 ? { kind: 'wait', ms: wait } : start
}

/** True when a machine without an instance is to have one. */
export function isSetToStart(machine: StoredObject): boolean {
  const strategy = strategyOf(machine)
  if (strategy === 'Always' || strategy === 'Once') return true
  if (strategy === 'RerunOnFailure' && machine.status?.runStrategy !== strategy) return true
  return strategy !== 'WaitAsReceiver' && requestsOf(machine).some(({ action }) => action === 'Start')
}

/**
 * Tells templates apart by what a running instance cannot take; what types and preferences add, by their revisions. Of
 * instances that a former Tandem made, cards and networks are part of it.
 */
export function templateMark({ spec, status }: StoredObject, withNetworks = false): string {
  const revisions = [status?.instancetypeRef, status?.preferenceRef].map((ref) => ref?.controllerRevisionRef?.name)
  const whole = spec.template?.spec
  const fixed = fixedPart(whole)
  if (withNetworks && whole?.domain) {
    const { devices } = fixed.domain
    fixed.networks = whole.networks
    fixed.domain.devices = { ...devices, interfaces: whole.domain.devices?.interfaces }
  }
  const template = { ...spec.template, spec: fixed }
  return templateHash(spec.instancetype || spec.preference ? { template, revisions } : template)
}

/** A dump that was made, or was not, is no matter of the next instance. */
function withoutDumps(spec: any): any {
  if (!spec?.volumes?.some((volume: any) => volume.memoryDump)) return spec
  return { ...spec, volumes: spec.volumes.filter((volume: any) => !volume.memoryDump) }
}

/** `whole`: the machine with its instance type and preference written out. */
export function instanceFor(machine: StoredObject, paused: boolean, whole = machine): ApiObject {
  const { template } = whole.spec
  const { name, namespace, generation } = machine.metadata
  const source = machine.metadata.annotations?.[startFromAnnotation]
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      name,
      namespace: namespace!,
      labels: { ...template.metadata?.labels, 'kubevirt.io/vm': name },
      annotations: {
        ...template.metadata?.annotations,
        [generationAnnotation]: String(generation ?? 1),
        [templateAnnotation]: templateMark(machine),
        [networksAnnotation]: JSON.stringify(cardsOf(machine.spec.template?.spec)),
        ...(isSaved(machine) && { [resumeAnnotation]: 'true' }),
        ...(source && { [startFromAnnotation]: source }),
        ...(strategyOf(machine) === 'WaitAsReceiver' && { [receiverAnnotation]: 'true' }),
      },
      finalizers: [instanceFinalizer],
      ownerReferences: [controllerReference(machine)],
    },
    spec: { ...withoutDumps(template.spec), ...(paused && { startStrategy: 'Paused' }) },
  }
}
