// How claims name the snapshot that fills them, and how a snapshot and its content name each other. Pure.

import type { StoredObject } from '../../api/meta.ts'
import { localProvisioner } from '../storage/local-provisioner.ts'

export const snapshotGroup = 'snapshot.storage.k8s.io'

/** Of a claim's dataSource or dataSourceRef. */
export const isSnapshotReference = (source: any): boolean =>
  source?.kind === 'VolumeSnapshot' && source.apiGroup === snapshotGroup

/** The content is that of this very snapshot. */
export function refersTo(content: StoredObject, { metadata }: StoredObject): boolean {
  const { namespace, name, uid } = content.spec.volumeSnapshotRef ?? {}
  return namespace === metadata.namespace && name === metadata.name && uid === metadata.uid
}

/** Only a content and a snapshot that name each other belong together: anybody may write one end. */
export const areBound = (snapshot: StoredObject, content: StoredObject): boolean =>
  snapshot.status?.boundVolumeSnapshotContentName === content.metadata.name && refersTo(content, snapshot)

export interface Restorable {
  /** The name under which the host keeps the data. */
  handle: string
  /** Bytes that a volume must have for it. */
  size: number
  /** 'Filesystem' or 'Block'; undefined when nobody knows. */
  mode: string | undefined
}

/** What a volume can be filled from; or why it cannot, in the words of external-provisioner 6.3. */
export function restorable(
  name: string,
  snapshot: StoredObject | undefined,
  content: (name: string) => StoredObject | undefined,
): Restorable | string {
  if (!snapshot)
    return `error getting snapshot ${name} from api server: volumesnapshots.${snapshotGroup} "${name}" not found`
  if (snapshot.metadata.deletionTimestamp) return `snapshot ${name} is currently being deleted`
  const bound: string | undefined = snapshot.status?.boundVolumeSnapshotContentName
  const found = bound === undefined ? undefined : content(bound)
  if (!found || !areBound(snapshot, found)) return `snapshot ${name} not bound`
  const { snapshotHandle, readyToUse, restoreSize } = found.status ?? {}
  if (snapshot.status?.readyToUse !== true || readyToUse !== true || !snapshotHandle)
    return `snapshot ${name} is not Ready`
  if (found.spec.driver !== localProvisioner)
    return `snapshot ${name} is of driver ${found.spec.driver}, not of ${localProvisioner}`
  return { handle: snapshotHandle, size: Number(restoreSize ?? 0), mode: found.spec.sourceVolumeMode }
}
