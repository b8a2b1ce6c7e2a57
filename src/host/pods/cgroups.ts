// Control groups of containers, named by their ids below one group of this Tandem. runc makes and removes them; what it
// leaves when it is killed half-way is removed here. The kernel refuses to remove a group that somebody is in.

import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { directoriesIn } from './directories.ts'

const root = '/sys/fs/cgroup'

/** The group in each hierarchy: one in v2, one for each controller in v1. */
async function hierarchies(group: string): Promise<string[]> {
  const controllers = await directoriesIn(root)
  return ['', ...controllers].map((controller) => join(root, controller, group))
}

/** The whole group, innermost first. */
export async function removeCgroups(group: string): Promise<void> {
  for (const path of await hierarchies(group)) await removeTree(path)
}

async function removeTree(path: string): Promise<void> {
  for (const name of await directoriesIn(path)) await removeTree(join(path, name))
  await rmdir(path).catch(() => {})
}

export interface StrayCgroups {
  /** Removes groups that, now and at the last call, had the name of no container. */
  remove(known: Set<string>): Promise<void>
}

/** One look is not enough: a container that is being made has its group before the runtime tells of it. */
export function createStrayCgroups(group: string): StrayCgroups {
  let suspects = new Set<string>()
  return {
    async remove(known) {
      const strays = new Set<string>()
      for (const path of await hierarchies(group))
        for (const id of await directoriesIn(path)) {
          if (!containerId.test(id) || known.has(id)) continue
          strays.add(id)
          if (suspects.has(id)) await removeTree(join(path, id))
        }
      suspects = strays
    },
  }
}

/** Groups of virtual machines have other names. */
const containerId = /^[0-9a-f]{64}$/
