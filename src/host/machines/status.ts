// What is known of a machine → the whole status of its VirtualMachineInstance. Pure. Names of conditions, reasons and
// fields: KubeVirt 1.8 (staging/src/kubevirt.io/api/core/v1/types.go).

import type { StoredObject } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import type { GuestInfo } from './agent.ts'
import { credentialsCondition, type Outcome } from './credentials.ts'
import type { PlugProblems } from './hotplug.ts'
import { interfaceStatus } from './hotplug-card-status.ts'
import { plugStatus } from './hotplug-status.ts'
import type { Migration } from './machine.ts'
import { dumpStatus, type MemoryDump } from './memory-dump.ts'
import { migratableCondition, migrationStatus } from './migratable.ts'
import type { MachineResult, StartedMachine } from './record.ts'
import { type ResizeProblem, resizeConditions } from './resize.ts'
import { qosClass } from './resources.ts'
import { specOf } from './vmi.ts'

export type Phase = 'Pending' | 'Scheduling' | 'Scheduled' | 'Running' | 'WaitingForSync' | 'Succeeded' | 'Failed'

export interface Observed {
  phase: Phase
  /** Why it does not start, or what the last step ran into. */
  problem?: { reason: string; message: string }
  started?: StartedMachine
  paused?: { reason: string; message: string }
  agent?: GuestInfo
  /** Whether the guest took its keys and passwords. */
  credentials?: Outcome
  dump?: MemoryDump
  /** Why it is not ready though it runs (a probe). */
  unready?: { reason: string; message: string }
  result?: MachineResult
  /** Its file systems are held still. */
  frozen?: boolean
  migration?: Migration
  /** Why hotpluggable volumes are not where they should be. */
  plugProblems?: PlugProblems
  /** Why cards are not as they should be. */
  cardProblems?: PlugProblems
  /** What it could not be given. */
  resizeProblems?: ResizeProblem[]
}

interface Condition {
  type: string
  status: 'True' | 'False'
  reason?: string
  message?: string
  lastProbeTime: null
  lastTransitionTime: string
}

export function statusOf(object: StoredObject, observed: Observed, nodeName: string, now: number): Record<string, any> {
  const old = object.status ?? {}
  const { started, result } = observed
  const spec = specOf(object)
  // What cannot be here has no node, as upstream.
  const isPlaced = started || observed.problem?.reason !== 'Unschedulable'
  const status: Record<string, any> = {
    ...(old.virtualMachineRevisionName && { virtualMachineRevisionName: old.virtualMachineRevisionName }),
    phase: observed.phase,
    phaseTransitionTimestamps: transitions(old, observed.phase, now),
    conditions: conditions(object, observed, now),
    ...(isPlaced && { nodeName }),
    qosClass: qosClass(spec.domain),
    guestOSInfo: observed.agent?.os ?? {},
    ...(observed.frozen && observed.phase === 'Running' && { fsFreezeStatus: 'frozen' }),
    ...(result?.phase === 'Failed' && { reason: result.reason }),
    ...migrationStatus(old, observed.migration),
  }
  if (!started) return status
  return {
    ...status,
    machine: { type: started.machineType },
    ...(observed.phase === 'Running' && { migrationMethod: 'LiveMigration', migrationTransport: 'Unix' }),
    runtimeUser: started.runtimeUser,
    memory: memoryStatus(started),
    currentCPUTopology: started.topology,
    volumeStatus: [
      ...started.volumes,
      ...plugStatus(spec, started.plugged, observed.plugProblems),
      ...dumpStatus(spec, observed.dump),
    ],
    ...(observed.phase === 'Running' && { interfaces: interfaceStatus(spec, started, observed.agent) }),
  }
}

function memoryStatus({ memoryBytes, growth }: StartedMachine) {
  const { size = 0, requested = 0 } = growth?.memory ?? {}
  return {
    guestAtBoot: mebibytes(memoryBytes),
    guestCurrent: mebibytes(memoryBytes + size),
    guestRequested: mebibytes(memoryBytes + requested),
  }
}

const mebibytes = (bytes: number) => {
  const whole = bytes / (1024 * 1024)
  return whole % 1024 ? `${whole}Mi` : `${whole / 1024}Gi`
}

function transitions(old: any, phase: Phase, now: number): object[] {
  const known: any[] = old.phaseTransitionTimestamps ?? []
  if (known.some((one) => one.phase === phase)) return known
  return [...known, { phase, phaseTransitionTimestamp: formatTime(now) }]
}

function conditions(object: StoredObject, observed: Observed, now: number): Condition[] {
  const { started, paused } = observed
  const problem = observed.problem ?? observed.cardProblems?.values().next().value
  const running = observed.phase === 'Running'
  const wanted: Omit<Condition, 'lastProbeTime' | 'lastTransitionTime'>[] = [ready(object, observed)]
  if (problem) wanted.push({ type: 'Synchronized', status: 'False', ...problem })
  // KubeVirt copies it from the launcher's Pod; a VM's printableStatus is made of it.
  if (problem?.reason === 'Unschedulable') wanted.push({ type: 'PodScheduled', status: 'False', ...problem })
  if (started && running) {
    wanted.push(migratableCondition(object, started))
    wanted.push(...resizeConditions(specOf(object), started, observed.resizeProblems))
    if (paused) wanted.push({ type: 'Paused', status: 'True', ...paused })
    if (observed.agent) wanted.push({ type: 'AgentConnected', status: 'True' })
    const credentials = credentialsCondition(observed.credentials)
    if (credentials) wanted.push(credentials)
  }
  if (started?.accelerator === 'tcg')
    wanted.push({
      type: 'SoftwareEmulation',
      status: 'True',
      reason: 'SoftwareEmulation',
      message: `The machine runs without hardware acceleration: ${started.acceleratorMessage}`,
    })
  const old: Condition[] = object.status?.conditions ?? []
  return wanted.map((condition) => {
    const before = old.find((one) => one.type === condition.type && one.status === condition.status)
    const lastTransitionTime = before?.lastTransitionTime ?? formatTime(now)
    return { ...condition, lastProbeTime: null, lastTransitionTime }
  })
}

function ready(object: StoredObject, { phase, unready }: Observed) {
  const not = (reason: string, message: string) => ({ type: 'Ready', status: 'False' as const, reason, message })
  if (phase !== 'Running') return not('GuestNotRunning', 'Guest VM is not reported as running')
  if (object.metadata.deletionTimestamp) return not('PodTerminating', 'The virtual machine is being stopped')
  return unready ? not(unready.reason, unready.message) : { type: 'Ready', status: 'True' as const }
}
