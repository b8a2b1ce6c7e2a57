// A machine as a copy of its template: the memory mapped, the devices loaded, and a name of its own before its network is
// connected.

import { openSync } from 'node:fs'
import type { StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import { netdevOf } from './args-network.ts'
import { finish, type Machine, type Observer, refresh } from './machine.ts'
import type { MachinePlan } from './plan.ts'
import { firstFile, type ProcessIdentity, type ProcessUser } from './process.ts'
import { loadRam } from './ram-stream.ts'
import type { SnapshotFiles } from './snapshot-files.ts'
import type { Template } from './template.ts'
import { bake, bakedFiles, bakedRam, withoutMemory } from './template-bake.ts'
import { giveIdentity } from './template-identity.ts'
import type { TemplateMemory } from './template-memory.ts'
import { hostnameOf } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface TemplateRooms {
  client: Client
  snapshots: SnapshotFiles
  memory: TemplateMemory
}

export interface CopyRooms {
  templates: TemplateRooms
  user?: ProcessUser
}

interface Prepared {
  plan: MachinePlan
  disks: { files: number[]; shared: string[] }
  accelerator: { kind: string }
}

/** Opens the template's memory for the machine's QEMU; the template is baked first if it is not yet. */
export async function mapTemplate(
  { templates, user }: CopyRooms,
  machine: Machine,
  { plan, disks, accelerator }: Prepared,
  template: Template,
  launch: (plan: MachinePlan) => Promise<ProcessIdentity>,
): Promise<void> {
  const { started } = template.state
  if (accelerator.kind !== started.accelerator || JSON.stringify(disks.shared) !== JSON.stringify(started.sharedDisks))
    throw new Waiting(
      'TemplateNotUsable',
      'the template was saved on other images or under another accelerator: take its snapshot again',
    )
  await bake(template, {
    directory: machine.directory,
    memoryBytes: plan.memoryBytes,
    user,
    launch: () => launch({ ...plan, memory: { file: bakedRam, shared: true } }),
  })
  const { snapshots, memory } = templates
  memory.keepOnly((content) => snapshots.find(content) !== undefined)
  const kept = await memory.open(template.content, bakedFiles(template).memory)
  // One of its own: those of a machine are closed once it runs.
  disks.files.push(openSync(`/proc/self/fd/${kept}`, 'r+'))
  plan.memory = { file: `/proc/self/fd/${firstFile + disks.files.length - 1}`, shared: false }
}

/** From a QEMU that waits for its state to a guest that knows who it is. */
export async function goOnAsCopy(
  machine: Machine,
  observer: Observer,
  object: StoredObject,
  plan: MachinePlan,
  template: Template,
): Promise<void> {
  const { qmp, directory } = machine
  if (!qmp) throw new Error('QEMU does not answer')
  await withoutMemory(qmp, true)
  await loadRam(qmp, directory, bakedFiles(template).devices)
  await withoutMemory(qmp, false)
  const link = async (up: boolean) => {
    for (const card of plan.cards) await qmp.execute('set_link', { name: netdevOf(card), up })
  }
  await link(false)
  await qmp.execute('cont')
  const { network, secondaries = [], plugged } = template.state.started
  const further = [...secondaries, ...(plugged?.cards ?? []).map(({ name, joined }) => ({ name, mac: joined?.mac }))]
  const before = new Map(further.map(({ name, mac }) => [name, mac]))
  await giveIdentity(machine, {
    hostname: hostnameOf(object),
    uuid: plan.uuid,
    macs: plan.cards.flatMap(({ card, mac }) => {
      const from = before.has(card.name) ? before.get(card.name) : network?.mac
      return from ? [{ from, to: mac }] : []
    }),
  })
  await link(true)
  finish(machine)
  await refresh(machine, observer)
}
