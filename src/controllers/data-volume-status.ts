// The status of a DataVolume, read from what the import tells on its claim. Pure; phases, conditions, reasons and texts of
// CDI 1.65 (pkg/controller/datavolume) for storage without a CSI driver.

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import {
  fatalError,
  podPhase,
  podReady,
  podRestarts,
  populatedFor,
  populatorProgress,
  runningCondition,
  runningMessage,
  runningReason,
} from '../kinds/cdi/annotations.ts'
import { type StampedCondition as Condition, stamped } from './data-conditions.ts'

export interface DataVolumeEvent {
  type: 'Normal' | 'Warning'
  reason: string
  message: string
}

export interface DataVolumeFacts {
  volume: StoredObject
  claim: StoredObject | undefined
  /** Where it is cloned from, 'namespace/name'. */
  source?: string | undefined
  /** What it is cloned from is a VolumeSnapshot. */
  fromSnapshot?: boolean
  /** The class of the claim binds with the first consumer. */
  isDelayed: boolean
  /** Why there is no claim yet. */
  problem?: DataVolumeEvent | undefined
  now: number
}

/** The data comes from the snapshot itself; no claim is made between the two. */
const snapshotPhase = 'CloneFromSnapshotSourceInProgress'

type Work = 'Import' | 'Upload' | 'Clone'

const workOf = ({ spec }: StoredObject): Work => {
  if (spec.source?.upload) return 'Upload'
  return spec.sourceRef || spec.source?.pvc || spec.source?.snapshot ? 'Clone' : 'Import'
}

const annotation = (claim: StoredObject | undefined, name: string): string | undefined =>
  claim?.metadata.annotations?.[name]

/** The claim has its content, or somebody else brings it. */
export function needsNoWork({ spec, metadata }: StoredObject, claim: StoredObject): boolean {
  const storage = spec.pvc ?? spec.storage ?? {}
  return annotation(claim, populatedFor) === metadata.name || Boolean(storage.dataSource ?? storage.dataSourceRef)
}

function phaseOf(facts: DataVolumeFacts): string {
  const { volume, claim, isDelayed, problem } = facts
  const before: string = volume.status?.phase ?? ''
  if (problem) return before === '' || before === 'Pending' ? 'Pending' : before
  if (!claim) return before === 'Succeeded' ? before : 'Pending'
  if (claim.metadata.deletionTimestamp) return before
  if (annotation(claim, podPhase) === 'Succeeded') return 'Succeeded'
  const bound = claim.status?.phase ?? 'Pending'
  if (bound === 'Lost') return 'Failed'
  if (bound === 'Bound') return needsNoWork(volume, claim) ? 'Succeeded' : workPhase(facts, claim)
  if (annotation(claim, populatedFor) === volume.metadata.name) return 'Succeeded'
  return isDelayed ? 'WaitForFirstConsumer' : 'Pending'
}

function workPhase({ volume, fromSnapshot }: DataVolumeFacts, claim: StoredObject): string {
  const work = workOf(volume)
  const phase = annotation(claim, podPhase)
  if (phase === 'Failed' && annotation(claim, fatalError) === 'true') return 'Failed'
  if (phase !== 'Running') return `${work}Scheduled`
  if (work === 'Upload') return annotation(claim, podReady) === 'true' ? 'UploadReady' : 'UploadScheduled'
  return fromSnapshot ? snapshotPhase : `${work}InProgress`
}

/** What is told once, when the phase is a new one. */
function eventOf({ volume, claim, source }: DataVolumeFacts, phase: string): DataVolumeEvent | undefined {
  const { name, namespace } = volume.metadata
  const work = workOf(volume)
  const normal = (reason: string, message: string) => ({ type: 'Normal' as const, reason, message })
  const warning = (reason: string, message: string) => ({ type: 'Warning' as const, reason, message })
  if (phase === 'Failed' && claim?.status?.phase === 'Lost') return warning('ClaimLost', `PVC ${name} lost`)
  const cloning = `${source ?? 'source'} into ${namespace}/${name}`
  const texts: Record<string, DataVolumeEvent> = {
    ImportScheduled: normal('ImportScheduled', `Import into ${name} scheduled`),
    ImportInProgress: normal('ImportInProgress', `Import into ${name} in progress`),
    UploadScheduled: normal('UploadScheduled', `Upload into ${name} scheduled`),
    UploadReady: normal('UploadReady', `Upload into ${name} ready`),
    CloneScheduled: normal('CloneScheduled', `Cloning from ${cloning} scheduled`),
    CloneInProgress: normal('CloneInProgress', `Cloning from ${cloning} in progress`),
    [snapshotPhase]: normal(
      snapshotPhase,
      `Creating PVC from snapshot source is in progress (for snapshot ${source ?? 'source'})`,
    ),
  }
  if (phase === 'Succeeded') {
    if (work === 'Import') return normal('ImportSucceeded', `Successfully imported into PVC ${name}`)
    return work === 'Upload'
      ? normal('UploadSucceeded', `Successfully uploaded into ${name}`)
      : normal('CloneSucceeded', `Successfully cloned from ${cloning}`)
  }
  if (phase === 'Failed')
    return work === 'Clone'
      ? warning('CloneFailed', `Cloning from ${cloning} failed`)
      : warning(`${work}Failed`, `Failed to import into PVC ${name}`)
  return texts[phase]
}

function boundCondition(claim: StoredObject | undefined, problem: DataVolumeEvent | undefined): Condition {
  const type = 'Bound'
  if (!claim)
    return {
      type,
      status: 'False',
      reason: problem?.reason ?? 'NotFound',
      message: problem?.message ?? 'No PVC found',
    }
  const { name } = claim.metadata
  switch (claim.status?.phase ?? 'Pending') {
    case 'Bound':
      return { type, status: 'True', reason: 'Bound', message: `PVC ${name} Bound` }
    case 'Lost':
      return { type, status: 'False', reason: 'ClaimLost', message: 'Claim Lost' }
    default:
      return { type, status: 'False', reason: 'Pending', message: `PVC ${name} Pending` }
  }
}

function conditionsOf({ volume, claim, problem, now }: DataVolumeFacts, phase: string): Condition[] {
  const time = formatTime(now)
  const before: Condition[] = volume.status?.conditions ?? []
  const words = (reason = '', message = '') => ({ ...(reason && { reason }), ...(message && { message }) })
  const isRunning = annotation(claim, runningCondition) === 'true'
  const ready = {
    type: 'Ready',
    status: phase === 'Succeeded' ? 'True' : 'False',
    ...(isRunning && phase !== 'Succeeded' ? { reason: 'TransferRunning' } : words(problem?.reason, problem?.message)),
  } as const
  const running = {
    type: 'Running',
    status: isRunning ? 'True' : 'False',
    ...words(annotation(claim, runningReason), annotation(claim, runningMessage)),
  } as const
  return [boundCondition(claim, problem), ready, running].map((condition) => stamped(before, condition, time))
}

export interface DataVolumeOutcome {
  status: Record<string, unknown>
  events: DataVolumeEvent[]
}

export function dataVolumeStatus(facts: DataVolumeFacts): DataVolumeOutcome {
  const { volume, claim, problem } = facts
  const phase = phaseOf(facts)
  const before = volume.status ?? {}
  const restarts = Number(annotation(claim, podRestarts) ?? before.restartCount ?? 0)
  const progress =
    phase === 'Succeeded' ? '100.0%' : claim ? (annotation(claim, populatorProgress) ?? 'N/A') : before.progress
  const status = {
    ...(claim ? { claimName: claim.metadata.name } : before.claimName && { claimName: before.claimName }),
    phase,
    ...(progress && { progress }),
    ...(restarts > 0 && { restartCount: restarts }),
    conditions: conditionsOf(facts, phase),
  }
  return { status, events: eventsOf(facts, phase, problem) }
}

function eventsOf(facts: DataVolumeFacts, phase: string, problem: DataVolumeEvent | undefined): DataVolumeEvent[] {
  const { volume, claim } = facts
  const found: DataVolumeEvent[] = []
  const conditions: Condition[] = volume.status?.conditions ?? []
  const known = (type: string) => conditions.find((condition) => condition.type === type)
  if (problem && known('Bound')?.message !== problem.message) found.push(problem)
  const event = phase === volume.status?.phase ? undefined : eventOf(facts, phase)
  if (event) found.push(event)
  const message = annotation(claim, runningMessage)
  const stopped = annotation(claim, runningCondition) === 'false' && phase !== 'Succeeded'
  if (stopped && message && known('Running')?.message !== message)
    found.push({ type: 'Warning', reason: annotation(claim, runningReason) ?? 'Error', message })
  return found
}
