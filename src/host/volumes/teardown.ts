// For a machine that Tandem leaves: no mount of a Pod's volumes stays. What is on disk belongs to the objects in the
// store, which are still there at the next start.

import type { StatePaths } from '../state.ts'
import { detachAllDevices } from './block-devices.ts'
import { systemMounts } from './mounts.ts'

/** To be called when no container runs any more. */
export async function removeAllVolumes(paths: Pick<StatePaths, 'pods'>): Promise<void> {
  await detachAllDevices(paths.pods)
  for (const point of systemMounts.below(paths.pods)) await systemMounts.unmount(point)
  const [left] = systemMounts.below(paths.pods)
  if (left) throw new Error(`${left} is still mounted: see with "fuser -vm ${left}" who uses it`)
}
