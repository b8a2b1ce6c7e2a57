// The data of a volume as it is at this moment. The disk of a machine that runs is copied by its QEMU, all of one moment;
// what nobody uses is of one moment anyway; of what Pods use, each file is as it was when it was reached.

import { lstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { StoredObject } from '../../api/meta.ts'
import { run } from '../exec.ts'
import { usersOf } from '../imports/users.ts'
import { ensureClaimDisk } from '../machines/claim-disk.ts'
import type { Machines } from '../machines/machines.ts'
import { copyTree, likeRoot } from '../volumes/copy-tree.ts'
import type { ClaimPlace, Volumes } from '../volumes/volumes.ts'

const diskFile = 'disk.img'
const syncMs = 600_000

export interface TakeTools {
  volumes: Pick<Volumes, 'claimPath'>
  machines: Pick<Machines, 'snapshot'>
  pods(namespace: string): StoredObject[]
  instances(namespace: string): StoredObject[]
}

interface Holder {
  machine: string
  volume: string
}

/** The machine that has the claim as a disk, and its name for it. Pure. */
export function holderOf(claim: string, instances: StoredObject[]): Holder | undefined {
  for (const { metadata, spec, status } of instances) {
    if (['Succeeded', 'Failed'].includes(status?.phase)) continue
    const shared = new Set((spec.domain?.devices?.filesystems ?? []).map((one: any) => one.name))
    const volume = (spec.volumes ?? []).find(
      ({ name, persistentVolumeClaim, dataVolume }: any) =>
        !shared.has(name) && (persistentVolumeClaim?.claimName ?? dataVolume?.name) === claim,
    )
    if (volume) return { machine: metadata.name, volume: volume.name }
  }
  return undefined
}

export interface TakenData {
  takenAt: number
  /** Who may have written to it while it was copied. */
  writers: string[]
}

/** Who wrote, and what that means. Pure. */
export const writersText = (writers: string[], claim: string, copy: 'snapshot' | 'clone'): string =>
  `${writers.join(', ')} using PersistentVolumeClaim ${claim} while it was copied: each file is as it was when it was reached, and not all of them of one moment. Stop what writes to it before a ${copy} that has to be`

/** Fills `data`, an empty directory. @throws Error, VolumeNotReady: nothing in `data` is of use then */
export async function takeVolume(
  tools: TakeTools,
  claim: { namespace: string; name: string },
  data: string,
  signal: AbortSignal,
): Promise<TakenData> {
  const { namespace, name } = claim
  const place = await tools.volumes.claimPath(namespace, name)
  const takenAt = Date.now()
  const holder = holderOf(name, tools.instances(namespace))
  const isLive = holder !== undefined && (await copyLive(tools, namespace, holder, place, data))
  const disk = join(place.path, diskFile)
  const before = changeOf(disk)
  const writers = usersOf(name, tools.pods(namespace), isLive ? [] : sharers(name, tools.instances(namespace)))
  await copyTree(place.path, data, { signal, changes: writers.length > 0, ...(isLive && { except: diskFile }) })
  if (isLive) await likeRoot(place.path, data)
  // A machine has started under the copy: the next try goes by its QEMU.
  else if (writers.length === 0 && changeOf(disk) !== before)
    throw new Error(`the disk in PersistentVolumeClaim ${name} was written to while it was copied`)
  // Of a claim that went meanwhile, files may have gone before they were reached.
  if ((await tools.volumes.claimPath(namespace, name)).path !== place.path)
    throw new Error(`PersistentVolumeClaim ${name} got another volume while it was copied`)
  // Said to be there, it is there after a power failure too.
  await run(['sync', '--file-system', data], { timeoutMs: syncMs, signal })
  return { takenAt, writers }
}

async function copyLive(
  { machines }: TakeTools,
  namespace: string,
  { machine, volume }: Holder,
  place: ClaimPlace,
  data: string,
): Promise<boolean> {
  const from = ensureClaimDisk(place, place.readOnly)
  const { size } = statSync(from)
  const disks = [{ volume, size, from, to: join(data, diskFile) }]
  return (await machines.snapshot({ namespace, name: machine }, { into: data, disks, memory: false })) !== 'off'
}

/** Machines that have it as a shared directory. */
const sharers = (claim: string, instances: StoredObject[]): StoredObject[] =>
  instances.filter((instance) => holderOf(claim, [instance]) === undefined)

/** Another one when the file has been written to; undefined when there is none. */
function changeOf(path: string): string | undefined {
  const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false })
  return stat && `${stat.ino} ${stat.size} ${stat.mtimeNs}`
}
