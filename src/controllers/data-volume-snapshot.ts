// The snapshot that a DataVolume is made from. Pure; CDI 1.65 (pkg/controller/datavolume/snapshot-clone-controller.go).

import type { StoredObject } from '../api/meta.ts'
import { restorable } from '../kinds/volumesnapshot/references.ts'
import type { DataVolumeEvent } from './data-volume-status.ts'

const warning = (reason: string, message: string): DataVolumeEvent => ({ type: 'Warning', reason, message })

const unfit = (why: string): DataVolumeEvent =>
  warning('CloneValidationFailed', `The clone doesn't meet the validation requirements: ${why}`)

/** A claim as large as the snapshot says, and of its mode: the rules for the size of a clone are those for claims. */
export function snapshotOrigin(
  name: string,
  snapshot: StoredObject | undefined,
  content: (name: string) => StoredObject | undefined,
): StoredObject | DataVolumeEvent {
  if (!snapshot) return warning('CloneWithoutSource', `The source snapshot ${name} doesn't exist`)
  if (!snapshot.status) return unfit('no status on source snapshot yet')
  if (snapshot.status.error) return unfit(`snapshot in error state with msg: ${snapshot.status.error.message}`)
  const found = restorable(name, snapshot, content)
  if (typeof found === 'string') return unfit(found)
  const storage = String(snapshot.status.restoreSize ?? found.size)
  return {
    ...snapshot,
    spec: { volumeMode: found.mode ?? 'Filesystem', resources: { requests: { storage } } },
    status: { capacity: { storage } },
  }
}
