// Snapshots of a machine that runs, with and without its memory; restores, clones, and machines that start as copies of
// one that has booted. Real QEMU, stock kubectl, a shell in the guests, and a guest agent of a few lines.

import assert from 'node:assert/strict'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { agentGuest, buildAgentGuest } from './agent-guest.fixture.ts'
import { type GuestShell, openShell } from './console.fixture.ts'
import { rootDisk, smallGuest } from './guest.fixture.ts'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

const claim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
}

function machine(name: string, options: { claim?: string; annotations?: Record<string, string> } = {}) {
  const volumes = [
    rootDisk(agentGuest),
    ...(options.claim ? [{ name: 'data', persistentVolumeClaim: { claimName: options.claim } }] : []),
  ]
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name, annotations: options.annotations ?? {} },
    spec: {
      runStrategy: 'Always',
      template: {
        spec: {
          terminationGracePeriodSeconds: 1,
          ...smallGuest(...volumes),
        },
      },
    },
  }
}

const reference = (name: string) => ({ apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name })
const memory = { 'tandem.dev/memory': 'true' }

const snapshot = (name: string, of: string, annotations = {}) => ({
  apiVersion: 'snapshot.kubevirt.io/v1beta1',
  kind: 'VirtualMachineSnapshot',
  metadata: { name, annotations },
  spec: { source: reference(of) },
})

const restore = (name: string, from: string, target: string, more: { annotations?: object; spec?: object } = {}) => ({
  apiVersion: 'snapshot.kubevirt.io/v1beta1',
  kind: 'VirtualMachineRestore',
  metadata: { name, annotations: more.annotations ?? {} },
  spec: { target: reference(target), virtualMachineSnapshotName: from, ...more.spec },
})

/** Of one disk, beside the snapshot of the whole machine. */
const volumeSnapshot = {
  apiVersion: 'snapshot.storage.k8s.io/v1',
  kind: 'VolumeSnapshot',
  metadata: { name: 'disk' },
  spec: { source: { persistentVolumeClaimName: 'data' } },
}
const fromVolumeSnapshot = {
  apiVersion: 'cdi.kubevirt.io/v1beta1',
  kind: 'DataVolume',
  metadata: { name: 'disk' },
  spec: { source: { snapshot: { namespace: 'default', name: 'disk' } }, storage: {} },
}

const readDisk = 'head -c 16 /dev/vdb | tr -d "\\0"'
const writeDisk = (word: string) => `echo ${word} | dd of=/dev/vdb conv=sync 2> /dev/null; sync`

/**
 * Runs when a copy has just been told who it is. Each read of the same state of the kernel's generator gives the next of the
 * same numbers, also where a copy has drawn some more than another one before.
 */
const draw = {
  path: '/etc/tandem/identity.d/draw',
  content: '#!/bin/sh\ndd if=/dev/urandom bs=16 count=64 2> /dev/null | od -v -An -tx1 > /tmp/drawn\n',
  mode: '0755',
}

describe('snapshots, restores, clones and copies of machines', () => {
  let tandem: TestTandem

  before(async () => {
    tandem = await startTandem()
    await buildAgentGuest(tandem, { perl: true, more: [draw] })
  })
  after(() => tandem?.close())

  const field = (what: string, path: string) => tandem.kubectl('get', what, '-o', `jsonpath=${path}`)
  /** It may not be there yet. */
  const becomes = (what: string, path: string, value: string) =>
    until(`${what} ${path} ${value}`, async () => {
      const { code, stdout } = await tandem.tryKubectl(['get', what, '-o', `jsonpath=${path}`])
      return code === 0 && stdout === value
    })
  const strategy = (name: string, runStrategy: string) =>
    tandem.kubectl('patch', 'vm', name, '--type=merge', '-p', JSON.stringify({ spec: { runStrategy } }))

  async function inside<T>(name: string, work: (guest: GuestShell) => Promise<T>): Promise<T> {
    const guest = await openShell(tandem.kubeconfig, name)
    try {
      return await work(guest)
    } finally {
      guest.close()
    }
  }

  async function running(name: string): Promise<void> {
    await becomes(`vm/${name}`, '{.status.ready}', 'true')
  }

  test('the disks of one moment while the guest runs, back onto the machine, and onto another', async () => {
    await tandem.apply([claim, machine('db', { claim: 'data' })])
    await running('db')
    await inside('db', (guest) => guest.run(writeDisk('first')))
    await tandem.apply([snapshot('s', 'db'), volumeSnapshot])
    await becomes('vmsnapshot/s', '{.status.readyToUse}', 'true')
    await becomes('vs/disk', '{.status.readyToUse}', 'true')
    const shown = await tandem.kubectl('get', 'vmsnapshot', 's')
    assert.match(shown, /SOURCEKIND\s+SOURCENAME\s+PHASE\s+READYTOUSE\s+CREATIONTIME\s+ERROR/)
    assert.match(shown, /VirtualMachine\s+db\s+Succeeded\s+true/)
    assert.equal(await field('vmsnapshot/s', '{.status.snapshotVolumes.includedVolumes}'), '["data"]')
    await inside('db', (guest) => guest.run(writeDisk('second')))
    await tandem.apply(fromVolumeSnapshot)
    await becomes('dv/disk', '{.status.phase}', 'Succeeded')
    const [copy = ''] = globSync(join(tandem.stateDir, 'volumes', '*_default_disk', 'disk.img'))
    assert.match(readFileSync(copy, 'latin1').slice(0, 16), /^first/)
    await tandem.apply([
      restore('back', 's', 'db', { spec: { targetReadinessPolicy: 'StopTarget' } }),
      restore('copy', 's', 'db2', { spec: { volumeRestorePolicy: 'PrefixTargetName' } }),
    ])
    await becomes('vmrestore/back', '{.status.complete}', 'true')
    await becomes('vmrestore/copy', '{.status.complete}', 'true')
    assert.equal(await field('vm/db2', '{.spec.template.spec.volumes[1].persistentVolumeClaim.claimName}'), 'db2-data')
    await strategy('db', 'Always')
    await strategy('db2', 'Always')
    for (const name of ['db', 'db2']) {
      await running(name)
      assert.equal(await inside(name, (guest) => guest.run(readDisk)), 'first')
    }
    await tandem.kubectl('delete', 'vm', 'db2')
  })

  test('the memory too: the guest goes on where it was when the snapshot was taken', async () => {
    await inside('db', (guest) => guest.run('echo then > /tmp/moment'))
    await tandem.apply(snapshot('m', 'db', memory))
    await becomes('vmsnapshot/m', '{.status.readyToUse}', 'true')
    await inside('db', async (guest) => {
      assert.equal(await guest.run('cat /tmp/moment'), 'then')
      await guest.run(`echo later > /tmp/moment; ${writeDisk('third')}`)
    })
    const back = { annotations: memory, spec: { targetReadinessPolicy: 'StopTarget' } }
    await tandem.apply(restore('resume', 'm', 'db', back))
    await becomes('vmrestore/resume', '{.status.complete}', 'true')
    await becomes('vm/db', '{.status.printableStatus}', 'Hibernated')
    await strategy('db', 'Always')
    await running('db')
    await inside('db', async (guest) => {
      assert.equal(await guest.run('cat /tmp/moment'), 'then')
      assert.equal(await guest.run(readDisk), 'first')
    })
  })

  test('a clone of a machine that runs is another machine with the same data', async () => {
    await tandem.apply({
      apiVersion: 'clone.kubevirt.io/v1beta1',
      kind: 'VirtualMachineClone',
      metadata: { name: 'c' },
      spec: {
        source: reference('db'),
        target: reference('twin'),
        newMacAddresses: { default: '02:01:02:03:04:05' },
        patches: ['{"op": "add", "path": "/spec/template/spec/hostname", "value": "second"}'],
      },
    })
    await becomes('vmclone/c', '{.status.phase}', 'Succeeded')
    await strategy('twin', 'Always')
    await running('twin')
    await inside('twin', async (guest) => {
      assert.equal(await guest.run('cat /sys/class/net/eth0/address'), '02:01:02:03:04:05')
      assert.equal(await guest.run(readDisk), 'first')
    })
    const uuid = '{.spec.template.spec.domain.firmware.uuid}'
    assert.notEqual(await field('vm/twin', uuid), await field('vm/db', uuid))
    await tandem.kubectl('delete', 'vm', 'twin', 'db')
    await tandem.kubectl('delete', 'vmsnapshot', 's', 'm')
    const directory = join(tandem.stateDir, 'snapshots')
    await until('what the snapshots held is gone', () => readdirSync(directory).length === 0)
  })

  test('members of a pool start as copies of a machine that has booted, each with a name of its own', async () => {
    await tandem.apply(machine('golden', { annotations: { 'tandem.dev/template': 'true' } }))
    await becomes('vmsnapshot/golden', '{.status.readyToUse}', 'true')
    await becomes('vm/golden', '{.status.printableStatus}', 'Stopped')
    const { spec } = machine('')
    await tandem.apply({
      apiVersion: 'pool.kubevirt.io/v1beta1',
      kind: 'VirtualMachinePool',
      metadata: { name: 'warm' },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'warm' } },
        virtualMachineTemplate: {
          metadata: { labels: { app: 'warm' }, annotations: { 'tandem.dev/start-from': 'golden' } },
          spec,
        },
      },
    })
    const seen = []
    for (const name of ['warm-0', 'warm-1']) {
      await running(name)
      const uid = await field(`vmi/${name}`, '{.metadata.uid}')
      const log = join(tandem.stateDir, 'machines', uid, 'serial.log')
      assert.ok(!existsSync(log) || !readFileSync(log, 'utf8').includes('userspace at'), 'it did not boot')
      seen.push(
        await inside(name, async (guest) => ({
          name: await guest.run('hostname'),
          mac: await guest.run('cat /sys/class/net/eth0/address'),
          drawn: (await guest.run('cat /tmp/drawn')).split('\n'),
        })),
      )
    }
    const [first, second] = seen
    assert.deepEqual([first!.name, second!.name], ['warm-0', 'warm-1'])
    assert.notEqual(first!.mac, second!.mac)
    assert.ok(first!.drawn.length >= 64 && second!.drawn.length >= 64)
    const both = first!.drawn.filter((bytes) => bytes !== '' && second!.drawn.includes(bytes))
    assert.deepEqual(both, [], 'random numbers of its own from the first on')
    assert.equal(await field('vmi/warm-0', '{.status.interfaces[0].mac}'), first!.mac)
  })
})
