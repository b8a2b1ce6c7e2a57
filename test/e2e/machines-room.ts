// The machine driver over real QEMU in a state directory of its own, with pretended images, volumes and network: what
// machines.test.ts works with.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { notFound } from '../../src/api/errors.ts'
import type { StoredObject } from '../../src/api/meta.ts'
import type { ByteChannel } from '../../src/api/streams.ts'
import type { Client } from '../../src/client/client.ts'
import { instanceOf } from '../../src/config.ts'
import type { Images } from '../../src/host/images/images.ts'
import { createMachines, type Machines } from '../../src/host/machines/machines.ts'
import type { Network } from '../../src/host/network/network.ts'
import { type StatePaths, statePaths } from '../../src/host/state.ts'
import type { Volumes } from '../../src/host/volumes/volumes.ts'
import { defaultInstance } from '../../src/kinds/kubevirt/instance-defaults.ts'
import { guestDisk, guestGreeting } from './machines-guest.ts'
import { until } from './tandem.fixture.ts'

export interface MachinesRoom {
  paths: StatePaths
  machines: Machines
  instance: string
  events: string[]
  /** Objects that the driver may read: "secrets/default/seed" → object. */
  objects: Map<string, object>
  /** A VMI that boots the test guest; `spec` is laid over its spec. */
  vmi(name: string, spec?: object, domain?: object): StoredObject
  /** Syncs as the host does until the status fits; returns the object with it. */
  until(object: StoredObject, fits: (status: any) => boolean, timeoutMs?: number): Promise<StoredObject>
  /** A new driver over the same state, as after a kill -9 of Tandem. */
  reopen(): Promise<void>
  serialLog(object: StoredObject): string
  /** Waits until the guest has greeted: a console shows only what comes after it was opened. */
  greeted(object: StoredObject): Promise<void>
  pid(object: StoredObject): number
  close(): Promise<void>
}

/** @param disk what the image guest:1 holds instead of the test guest. */
export async function openRoom(disk?: { path: string; format: 'raw' | 'qcow2' }): Promise<MachinesRoom> {
  const root = mkdtempSync(join(tmpdir(), 'tandem-machines-'))
  const instance = instanceOf(root)
  const paths = statePaths(root, instance)
  mkdirSync(join(root, 'claims'))
  writeFileSync(join(root, 'guest.img'), guestDisk(), { mode: 0o644 })
  const events: string[] = []
  const objects = new Map<string, object>()
  const known: StoredObject[] = []
  const open = async () => {
    const machines = createMachines({
      paths,
      instance,
      nodeName: 'test-node',
      client: fakeClient(objects),
      images: fakeImages(disk ?? { path: join(root, 'guest.img'), format: 'raw' }),
      volumes: fakeVolumes(join(root, 'claims')),
      network: noNetwork,
      record: (_, type, reason, message) => void events.push(`${type} ${reason} ${message}`),
    })
    await machines.start()
    return machines
  }
  let machines = await open()
  const room: MachinesRoom = {
    paths,
    instance,
    get machines() {
      return machines
    },
    events,
    objects,
    vmi(name, spec = {}, domain = {}) {
      const object = vmi(name, spec, domain)
      defaultInstance(object)
      known.push(object)
      return object
    },
    async until(object, fits, timeoutMs = 120_000) {
      const deadline = Date.now() + timeoutMs
      for (let at = object; ; ) {
        const { status } = await machines.sync(at)
        if (status) at = { ...at, status }
        if (fits(at.status ?? {})) return at
        if (Date.now() > deadline)
          throw new Error(`not in time: ${JSON.stringify(at.status)} ${events.join(' | ')} ${qemuLog(at)}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    async reopen() {
      await machines.stop()
      machines = await open()
    },
    serialLog: (object) => readFileSync(join(paths.machines, object.metadata.uid, 'serial.log'), 'utf8'),
    greeted: (object) =>
      until('the guest greets', () => {
        const path = join(paths.machines, object.metadata.uid, 'serial.log')
        return existsSync(path) && readFileSync(path, 'utf8').includes(guestGreeting)
      }).then(() => {}),
    pid: (object) =>
      JSON.parse(readFileSync(join(paths.machines, object.metadata.uid, 'machine.json'), 'utf8')).process.pid,
    async close() {
      for (const { metadata } of known)
        await machines.remove({ uid: metadata.uid, namespace: metadata.namespace!, name: metadata.name })
      await machines.stop()
      rmSync(root, { recursive: true, force: true })
    },
  }
  const qemuLog = (object: StoredObject) => {
    try {
      return readFileSync(join(paths.machines, object.metadata.uid, 'qemu.log'), 'utf8')
    } catch {
      return ''
    }
  }
  return room
}

let count = 0

function vmi(name: string, spec: object, domain: object): StoredObject {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: {
      name,
      namespace: 'default',
      uid: `00000000-0000-4000-8000-${String(++count).padStart(12, '0')}`,
      resourceVersion: '1',
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      volumes: [{ name: 'root', containerDisk: { image: 'guest:1' } }],
      ...spec,
      domain: {
        memory: { guest: '64Mi' },
        ...domain,
        devices: { autoattachPodInterface: false, ...(domain as any).devices },
      },
    },
  }
}

function fakeClient(objects: Map<string, object>): Client {
  return {
    async get(ref: { resource: string }, name: string, namespace?: string) {
      const object = objects.get(`${ref.resource}/${namespace}/${name}`)
      if (!object) throw notFound(ref.resource, name)
      return object
    },
  } as unknown as Client
}

function fakeImages(disk: { path: string; format: 'raw' | 'qcow2' }): Images {
  const image = { id: 'sha256:0', repoTags: ['guest:1'], repoDigests: [], sizeBytes: 1 }
  return {
    find: async (name: string) => (name === 'guest:1' ? image : undefined),
    pull: async () => image,
    containerDisk: async () => ({ ...disk, virtualSize: 64 * 1024 * 1024, image }),
  } as unknown as Images
}

function fakeVolumes(root: string): Volumes {
  return {
    async claimPath(_: string, claim: string) {
      mkdirSync(join(root, claim), { recursive: true })
      return { path: join(root, claim), capacityBytes: 64 * 1024 * 1024, readOnly: false, isBlock: false }
    },
  } as unknown as Volumes
}

const noNetwork = {
  attachMachine: async () => {
    throw new Error('this test has no network')
  },
  detachMachine: async () => {},
  releaseAddress: async () => {},
  attachedMachines: async () => [],
} as unknown as Network

/** Reads the channel until `text` has come. */
export async function readUntil(channel: ByteChannel, text: string): Promise<string> {
  let seen = ''
  for await (const chunk of channel.readable) {
    seen += Buffer.from(chunk).toString('latin1')
    if (seen.includes(text)) return seen
  }
  throw new Error(`the channel ended after ${JSON.stringify(seen)}`)
}
