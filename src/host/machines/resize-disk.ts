// Disks of claims that grow while the guest runs: the file becomes longer, and QEMU tells the guest.

import type { StoredObject } from '../../api/meta.ts'
import { claimSizesOf } from '../../kinds/kubevirt/claim-sizes.ts'
import { claimOfVolume } from '../../kinds/kubevirt/live-changes.ts'
import type { ClaimPlace, Volumes } from '../volumes/volumes.ts'
import { claimDiskSize, ensureClaimDisk } from './claim-disk.ts'
import { claimStatus } from './disks.ts'
import { pluggedOf } from './hotplug.ts'
import { nodeOf } from './hotplug-plan.ts'
import type { Machine } from './machine.ts'
import { type StartedMachine, writeRecord } from './record.ts'
import { coldDisks, specOf } from './vmi.ts'

interface ClaimNode {
  claim: string
  /** QEMU's name of it. */
  node: string
  bytes: number
}

/** The disks that are claims, and how large each claim is as far as the guest knows. */
function claimNodes(object: StoredObject, { volumes, plugged }: StartedMachine): ClaimNode[] {
  const spec = specOf(object)
  const nodes: ClaimNode[] = []
  for (const [index, disk] of coldDisks(spec).entries()) {
    const claim = claimOfVolume(spec.volumes?.find(({ name }) => name === disk.name))
    const info: any = volumes.find(({ name }) => name === disk.name)?.persistentVolumeClaimInfo
    if (claim && info) nodes.push({ claim, node: `disk${index}`, bytes: Number(info.capacity.storage) })
  }
  for (const one of plugged?.disks ?? [])
    if (one.state === 'ready') nodes.push({ claim: one.claim, node: nodeOf(one), bytes: one.capacityBytes })
  return nodes
}

function grown(object: StoredObject, started: StartedMachine): ClaimNode[] {
  const sizes = claimSizesOf(object.metadata.annotations)
  if (!sizes.size) return []
  return claimNodes(object, started).filter(({ claim, bytes }) => (sizes.get(claim) ?? 0) > bytes)
}

export const isDiskResizeDue = (object: StoredObject, started: StartedMachine | undefined): boolean =>
  started !== undefined && grown(object, started).length > 0

/** @throws Error; the rest is tried again with it */
export async function resizeDisks(
  volumes: Volumes,
  machine: Machine,
  object: StoredObject,
  event: (type: 'Normal', reason: string, message: string) => void,
): Promise<void> {
  for (const { claim, node } of grown(object, machine.record.started!)) {
    const bound = await volumes.claimPath(object.metadata.namespace!, claim)
    const size = claimDiskSize(bound)
    if (!bound.readOnly) {
      ensureClaimDisk(bound, false)
      await machine.qmp?.execute('block_resize', { 'node-name': node, size })
    }
    noteSize(machine, claim, bound)
    event('Normal', 'VolumeResized', `The disk of claim ${claim} has ${size} bytes now`)
  }
}

function noteSize(machine: Machine, claim: string, bound: ClaimPlace): void {
  const started = machine.record.started!
  const info = claimStatus(claim, bound)
  const { capacityBytes } = bound
  const volumes = started.volumes.map((one: any) =>
    one.persistentVolumeClaimInfo?.claimName === claim ? { ...one, ...info } : one,
  )
  const plugged = pluggedOf(machine)
  const disks = plugged.disks.map((one) =>
    one.claim === claim ? { ...one, capacityBytes, claimInfo: info.persistentVolumeClaimInfo } : one,
  )
  machine.record = {
    ...machine.record,
    started: { ...started, volumes, ...(started.plugged && { plugged: { ...plugged, disks } }) },
  }
  writeRecord(machine.directory, machine.record)
}
