// Snapshots of machines: names, what a content holds, and the status that is told. Pure; names, texts and the order of
// phases as in KubeVirt 1.9 (pkg/storage/snapshot/snapshot.go).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { formatTime, parseDuration } from '../api/time.ts'
import { memoryAnnotation, wantsMemory } from '../kinds/snapshot/memory.ts'
import { type Condition, type ConditionStatus, isTrue } from './conditions.ts'
import { moment } from './moment.ts'

export const snapshotFinalizer = 'snapshot.kubevirt.io/vmsnapshot-protection'
export const contentFinalizer = 'snapshot.kubevirt.io/vmsnapshotcontent-protection'
export const sourceFinalizer = 'snapshot.kubevirt.io/snapshot-source-protection'

const defaultDeadlineMs = 300_000

export const indicationTexts: Record<string, string> = {
  Online: 'Snapshot taken while the VM was running. Consistency depends on guest-agent quiescing.',
  GuestAgent: 'Guest agent was active and attempted to quiesce the filesystem for application consistency.',
  NoGuestAgent: 'Guest agent was not available. Snapshot is crash-consistent and may not be application-consistent.',
  Paused: 'Snapshot taken while the VM was paused. Snapshot is crash-consistent and may not be application-consistent.',
  PartialSnapshot:
    'Not all snapshotable volumes were included in the snapshot. Check status.snapshotVolumes for excluded volumes and VM VolumeSnapshotStatus for details.',
}

export const contentName = (snapshot: StoredObject): string =>
  snapshot.status?.virtualMachineSnapshotContentName ?? `vmsnapshot-content-${snapshot.metadata.uid}`

export const isFailed = ({ status }: StoredObject): boolean => status?.phase === 'Failed'
const isSucceeded = ({ status }: StoredObject): boolean => status?.phase === 'Succeeded'
export const isReadyToUse = ({ status }: StoredObject): boolean => status?.readyToUse === true
export const isProgressing = (snapshot: StoredObject): boolean => !isFailed(snapshot) && !isSucceeded(snapshot)

/** How long it may still take; undefined: as long as it likes. */
export function timeLeft({ spec, metadata }: StoredObject, now: number): number | undefined {
  const given = spec.failureDeadline === undefined ? defaultDeadlineMs : parseDuration(spec.failureDeadline)
  return given ? moment(metadata.creationTimestamp) + given - now : undefined
}

export const isOverdue = (snapshot: StoredObject, now: number): boolean =>
  isFailed(snapshot) || (isProgressing(snapshot) && (timeLeft(snapshot, now) ?? 0) < 0)

/** Deleted or too late: it comes to no good end any more. */
export const isTerminating = (snapshot: StoredObject, now: number): boolean =>
  snapshot.metadata.deletionTimestamp !== undefined || isOverdue(snapshot, now)

export const deletesContent = (snapshot: StoredObject, content: StoredObject): boolean =>
  snapshot.spec.deletionPolicy !== 'Retain' || !isReadyToUse(content)

/** Claims of persistent volumes by the name of the volume. */
export function claimsByVolume(machine: any): Map<string, string> {
  const found = new Map<string, string>()
  for (const { name, persistentVolumeClaim, dataVolume, memoryDump } of machine.spec?.template?.spec?.volumes ?? []) {
    const claim = persistentVolumeClaim?.claimName ?? dataVolume?.name ?? memoryDump?.claimName
    if (claim) found.set(name, claim)
  }
  return found
}

const isSnapshotable = (volume: any): boolean =>
  Boolean(volume.persistentVolumeClaim || volume.dataVolume || volume.memoryDump)

/** status.volumeSnapshotStatuses of a machine: which of its volumes a snapshot holds. */
export function volumeSnapshotStatuses(machine: StoredObject, claims: (StoredObject | undefined)[]) {
  const found = new Set(claims.map((claim) => claim?.metadata.name))
  const names = claimsByVolume(machine)
  return (machine.spec.template?.spec?.volumes ?? []).map((volume: any) => {
    const { name } = volume
    if (!isSnapshotable(volume))
      return { name, enabled: false, reason: `Snapshot is not supported for this volumeSource type [${name}]` }
    return found.has(names.get(name)) ? { name, enabled: true } : { name, enabled: false, reason: 'PVC not found' }
  })
}

const simplified = ({ managedFields: _, ...metadata }: StoredObject['metadata']) => metadata

/** `claims`: those of the machine's volumes that are bound. */
export function contentOf(snapshot: StoredObject, machine: StoredObject, claims: Map<string, StoredObject>): ApiObject {
  const { name, namespace, uid } = snapshot.metadata
  const volumeBackups = [...claimsByVolume(machine)].flatMap(([volumeName, claimName]) => {
    const claim = claims.get(claimName)
    if (!claim) return []
    const persistentVolumeClaim = { metadata: simplified(claim.metadata), spec: claim.spec }
    return [{ volumeName, persistentVolumeClaim, volumeSnapshotName: `vmsnapshot-${uid}-volume-${volumeName}` }]
  })
  return {
    apiVersion: snapshot.apiVersion,
    kind: 'VirtualMachineSnapshotContent',
    metadata: {
      name: contentName(snapshot),
      namespace: namespace!,
      finalizers: [contentFinalizer],
      ...(wantsMemory(snapshot) && { annotations: { [memoryAnnotation]: 'true' } }),
    },
    spec: {
      virtualMachineSnapshotName: name,
      source: { virtualMachine: { metadata: simplified(machine.metadata), spec: machine.spec } },
      ...(volumeBackups.length && { volumeBackups }),
    },
  }
}

export interface Source {
  uid: string
  locked: boolean
  lockMessage: string
  instance: StoredObject | undefined
}

/** Upstream sets a condition anew when its reason changes, too. */
export function withReason(
  conditions: Condition[] = [],
  type: string,
  status: ConditionStatus,
  reason: string,
  now: number,
): Condition[] {
  const old = conditions.find((one) => one.type === type)
  if (old?.status === status && old.reason === reason) return conditions
  const set = { type, status, reason, lastProbeTime: null, lastTransitionTime: formatTime(now) }
  return old ? conditions.map((one) => (one === old ? set : one)) : [...conditions, set]
}

function indicationsOf(instance: StoredObject | undefined): string[] {
  if (!instance) return []
  const { conditions } = instance.status ?? {}
  if (isTrue(conditions, 'Paused')) return ['Online', 'Paused']
  return isTrue(conditions, 'AgentConnected') ? ['GuestAgent', 'Online'] : ['NoGuestAgent', 'Online']
}

const told = (indications: string[]) => ({
  indications,
  sourceIndications: indications.map((indication) => ({ indication, message: indicationTexts[indication] })),
})

function volumesOf(content: StoredObject) {
  const backed = new Set((content.spec.volumeBackups ?? []).map((backup: any) => backup.volumeName))
  const volumes: any[] = content.spec.source?.virtualMachine?.spec?.template?.spec?.volumes ?? []
  const names = (kept: boolean) => volumes.filter(({ name }) => backed.has(name) === kept).map(({ name }) => name)
  return {
    isPartial: volumes.some((volume) => isSnapshotable(volume) && !backed.has(volume.name)),
    lists: { includedVolumes: names(true), excludedVolumes: names(false) },
  }
}

export function snapshotStatus(
  snapshot: StoredObject,
  content: StoredObject | undefined,
  source: Source | undefined,
  now: number,
): Record<string, any> {
  const status: Record<string, any> = { ...(snapshot.status ?? { readyToUse: false }) }
  if (source) status.sourceUID = source.uid
  if (content?.status) {
    const { creationTime, readyToUse, error } = content.status
    Object.assign(status, { virtualMachineSnapshotContentName: content.metadata.name, creationTime, readyToUse, error })
  }
  const set = (type: string, value: ConditionStatus, reason: string) => {
    status.conditions = withReason(status.conditions, type, value, reason, now)
  }
  if (isOverdue({ ...snapshot, status }, now) && !status.creationTime) {
    status.phase = 'Failed'
    set('Failure', 'True', 'snapshot deadline exceeded')
    set('Progressing', 'False', 'Operation failed')
  } else if (status.phase === 'Succeeded' || status.creationTime) {
    status.phase = 'Succeeded'
    set('Progressing', 'False', 'Operation complete')
    const { isPartial, lists } = content ? volumesOf(content) : { isPartial: false, lists: undefined }
    if (lists) status.snapshotVolumes = lists
    if (isPartial && !status.indications?.includes('PartialSnapshot'))
      Object.assign(status, told([...(status.indications ?? []), 'PartialSnapshot']))
  } else unfinished(snapshot, source, status, set)
  set('Ready', status.readyToUse ? 'True' : 'False', status.readyToUse ? 'Ready' : 'Not ready')
  if (status.error) set('Progressing', 'False', 'In error state')
  return JSON.parse(JSON.stringify(status))
}

function unfinished(
  snapshot: StoredObject,
  source: Source | undefined,
  status: Record<string, any>,
  set: (type: string, value: ConditionStatus, reason: string) => void,
): void {
  status.phase = 'InProgress'
  if (source) {
    set('Progressing', source.locked ? 'True' : 'False', source.lockMessage)
    const indications = indicationsOf(source.instance)
    if (indications.length) Object.assign(status, told(indications))
    else for (const name of ['indications', 'sourceIndications']) delete status[name]
  } else set('Progressing', 'False', 'Source does not exist')
  if (!snapshot.metadata.deletionTimestamp) return
  status.phase = 'Deleting'
  set('Progressing', 'False', 'VM snapshot is deleting')
}
