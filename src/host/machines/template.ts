// The template of a machine: a snapshot with memory, of a machine that was the same but for who it is.

import { lchownSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import { startFromAnnotation } from '../../kinds/kubevirt/template-start.ts'
import type { Owner } from './disk-files.ts'
import { hardwareOf, isKept, type SavedState } from './saved-states.ts'
import { copyDisk, type SnapshotFiles } from './snapshot-files.ts'
import { specOf } from './vmi.ts'
import { Waiting } from './waiting.ts'

export interface Template {
  /** The uid of the snapshot's content. */
  content: string
  directory: string
  state: SavedState
}

const group = { group: 'snapshot.kubevirt.io', version: 'v1beta1' }

/** The template that an instance is to be a copy of, if any. @throws Waiting while it cannot be */
export async function templateOf(
  { client, snapshots, emulator }: { client: Client; snapshots: SnapshotFiles; emulator: { version: string } },
  object: StoredObject,
): Promise<Template | undefined> {
  const name = object.metadata.annotations?.[startFromAnnotation]
  if (!name) return undefined
  const fail = (text: string): never => {
    throw new Waiting('TemplateNotUsable', `${startFromAnnotation}: ${text}`)
  }
  const { namespace } = object.metadata
  const read = (resource: string, of: string) =>
    client.get({ ...group, resource }, of, namespace).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
      return fail(`${resource} "${of}" not found`)
    })
  const snapshot = await read('virtualmachinesnapshots', name)
  if (!snapshot.status?.readyToUse) fail(`the snapshot "${name}" is not ready to use yet`)
  const content = await read('virtualmachinesnapshotcontents', snapshot.status!.virtualMachineSnapshotContentName)
  const state = snapshots.find(content.metadata.uid)?.memory
  if (!state) return fail(`the snapshot "${name}" holds no memory: annotate it with tandem.dev/memory: "true"`)
  if (content.spec.volumeBackups?.length)
    fail('a template may have no claims: a disk that outlives its machine cannot be in two states. Attach it later')
  const { devices, memory, cpu } = object.spec.domain ?? {}
  if (devices?.tpm) fail('a machine with a TPM cannot be a copy of another')
  if (devices?.filesystems?.length || memory?.hugepages || cpu?.numa)
    fail('a machine with shared directories, huge pages or NUMA nodes cannot be a copy of another')
  if (state.paused) fail(`the snapshot "${name}" was taken while the machine was paused`)
  if (anonymous(state.hardware) !== anonymous(hardwareOf(specOf(object))))
    fail(`domain, networks and volumes must be those of the machine that "${name}" was taken of`)
  if (state.emulator !== emulator.version)
    fail(`"${name}" was taken by QEMU ${state.emulator} and this is ${emulator.version}: take it again`)
  return { content: content.metadata.uid, directory: snapshots.directory(content.metadata.uid), state }
}

/** Hardware without what tells two machines of one template apart. */
export function anonymous(hardware: string): string {
  const { domain, ...rest } = JSON.parse(hardware)
  const { uuid: _, serial: __, ...firmware } = domain.firmware ?? {}
  const interfaces = domain.devices?.interfaces?.map(({ macAddress: _, ...card }: any) => card)
  const devices = { ...domain.devices, interfaces }
  // A pool's template keeps its fields in another order.
  return JSON.stringify({ domain: { ...domain, firmware, devices }, ...rest }, (_, value) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
}

/** The template's own disks, copied into the directory of a machine. */
export async function lendTemplate(template: Template, directory: string, user?: Owner): Promise<void> {
  for (const name of readdirSync(template.directory).filter(isKept)) {
    await copyDisk(join(template.directory, name), join(directory, name))
    if (user) lchownSync(join(directory, name), user.uid, user.gid)
  }
}
