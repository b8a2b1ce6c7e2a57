// VMMs: their argument lists against golden files (UPDATE_GOLDEN=1 writes them anew), what they are asked, and why one is
// not ready.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { cloudHypervisor, stateOf } from './cloud-hypervisor/cloud-hypervisor.ts'
import { requests } from './cloud-hypervisor/requests.ts'
import type { Guest } from './driver.ts'
import { vmmNamed } from './drivers.ts'
import { qemu } from './qemu/qemu.ts'
import { versionIn, vmmVerdict } from './readiness.ts'
import { watchVmm } from './watch.ts'

const guest: Guest = {
  kernel: '/parts/vmlinuz',
  initrd: '/parts/initrd',
  memoryBytes: 192 * 2 ** 20,
  cpus: 2,
  disks: [
    { path: '/vm/data.img', readOnly: false },
    { path: '/vm/a,b.img', readOnly: true },
  ],
  cards: [
    { name: 'control', tap: 'control0', mac: '02:00:00:00:00:02' },
    { name: 'pod', tap: 'tap0', mac: '0a:00:00:00:00:07' },
  ],
  folder: { tag: 'pod', socket: 'files.sock' },
}

const lists: Record<string, string[]> = {
  'qemu-emulated': qemu.argv(guest, { program: '/usr/bin/qemu-system-x86_64', accelerator: 'tcg' }),
  'qemu-kvm-waits': qemu.argv(
    { ...guest, cards: [], disks: [] },
    { program: '/usr/bin/qemu-system-x86_64', accelerator: 'kvm', waits: true },
  ),
  'cloud-hypervisor': cloudHypervisor.argv(guest, {
    program: '/usr/local/bin/cloud-hypervisor',
    accelerator: 'kvm',
  }),
  'cloud-hypervisor-bare': cloudHypervisor.argv(
    { ...guest, cards: [], disks: [], folder: undefined },
    { program: '/usr/local/bin/cloud-hypervisor', accelerator: 'kvm' },
  ),
  'cloud-hypervisor-waits': cloudHypervisor.argv(guest, {
    program: '/usr/local/bin/cloud-hypervisor',
    accelerator: 'kvm',
    waits: true,
  }),
}

for (const [name, argv] of Object.entries(lists))
  test(`the argument list ${name} is as agreed`, () => {
    const text = argv.map((word) => `${word}\n`).join('')
    const file = join(import.meta.dirname, 'golden', `${name}.txt`)
    mkdirSync(dirname(file), { recursive: true })
    if (process.env.UPDATE_GOLDEN) writeFileSync(file, text)
    assert.equal(text, readFileSync(file, 'utf8'))
  })

test('Cloud Hypervisor refuses to emulate, and names that it cannot be told', () => {
  const program = '/usr/bin/cloud-hypervisor'
  assert.throws(() => cloudHypervisor.argv(guest, { program, accelerator: 'tcg' }), /needs KVM/)
  const disks = [{ path: '/vm/a",id="x', readOnly: true }]
  assert.throws(() => cloudHypervisor.argv({ ...guest, disks }, { program, accelerator: 'kvm' }), /quotation mark/)
})

test('Cloud Hypervisor is asked in its own words', () => {
  assert.deepEqual(requests.snapshot('saved'), {
    method: 'PUT',
    path: '/api/v1/vm.snapshot',
    body: { destination_url: 'file://saved' },
  })
  assert.deepEqual(requests.restore('saved').body, { source_url: 'file://saved' })
  assert.deepEqual(requests.pause, { method: 'PUT', path: '/api/v1/vm.pause' })
  assert.deepEqual(['Created', 'Running', 'Paused', 'Shutdown'].map(stateOf), ['paused', 'running', 'paused', 'paused'])
})

const kvm = { kind: 'kvm', reason: 'KVMProved', message: 'a test guest ran in KVM in 90 ms' } as const
const none = { kind: 'tcg', reason: 'KVMNotAvailable', message: 'this machine has no /dev/kvm' } as const

test('why a VMM is not ready, and what to do', () => {
  const path = '/usr/local/bin/cloud-hypervisor'
  const said = (version: string | undefined, proved: typeof kvm | typeof none) =>
    vmmVerdict(cloudHypervisor, version === undefined ? undefined : { path, version }, proved)
  assert.deepEqual(said(undefined, kvm), {
    ready: false,
    reason: `cloud-hypervisor is missing: ${cloudHypervisor.remedy}`,
  })
  assert.match(said('45.0', kvm).reason, /is version 45.0, and 52 is the oldest that is used, since older ones guess/)
  assert.match(said('', kvm).reason, /is version unknown/)
  assert.deepEqual(said('53.0', none), {
    ready: false,
    reason: 'Cloud Hypervisor needs hardware virtualization (KVM) that works: this machine has no /dev/kvm',
  })
  assert.deepEqual(said('53.0', kvm), {
    ready: true,
    reason: 'Cloud Hypervisor 53.0 for each Pod, in KVM',
    accelerator: 'kvm',
  })
})

test('QEMU runs with and without KVM', () => {
  const found = { path: '/usr/bin/qemu-system-x86_64', version: '7.2.22' }
  assert.equal(vmmVerdict(qemu, found, none).accelerator, 'tcg')
  assert.equal(vmmVerdict(qemu, found, kvm).accelerator, 'kvm')
  assert.equal(vmmVerdict(qemu, undefined, kvm).reason, `qemu-system-x86_64 is missing: ${qemu.remedy}`)
})

test('what is said of a VMM follows what is installed', async () => {
  const path = import.meta.filename
  let there = false
  let proofs = 0
  const look = watchVmm({
    driver: cloudHypervisor,
    async proof() {
      proofs++
      return none
    },
    program: () => (there ? path : undefined),
    find: async () => ({ path, version: '52.0' }),
  })
  assert.match(look().reason, /^cloud-hypervisor is missing: /)
  assert.equal(proofs, 0, 'nobody asks about KVM for a program that is not there')
  there = true
  assert.deepEqual(look(), { ready: 'Unknown', reason: '' })
  await new Promise(setImmediate)
  assert.deepEqual([look().ready, proofs], ['False', 1])
  assert.match(look().reason, /no \/dev\/kvm$/)
  there = false
  assert.match(look().reason, /is missing/)
})

test('versions are read as programs tell them', () => {
  assert.equal(versionIn('cloud-hypervisor v52.0\n'), '52.0')
  assert.equal(versionIn('cloud-hypervisor v51.1-dirty'), '51.1')
  assert.equal(versionIn('QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u16)'), '7.2.22')
  assert.equal(versionIn('no number'), '')
})

test('a VMM that does not exist is refused by name', () => {
  assert.equal(vmmNamed('cloud-hypervisor'), cloudHypervisor)
  assert.throws(() => vmmNamed('firecracker'), /there is no VMM firecracker: use one of qemu, cloud-hypervisor/)
})
