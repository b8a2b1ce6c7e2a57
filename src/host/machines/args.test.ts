// The command lines of whole machines against golden files (UPDATE_GOLDEN=1 writes them anew), and hostile values.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { qemuArgs } from './args.ts'
import { option } from './option.ts'
import { diskOf, planOf } from './plan.fixture.ts'
import type { MachinePlan } from './plan.ts'

const overlay = diskOf(
  { name: 'root', disk: { bus: 'virtio' } },
  { backing: { format: 'qcow2', file: '/proc/self/fd/3' } },
)
const claim = diskOf(
  { name: 'data', disk: { bus: 'virtio' } },
  { format: 'raw', file: '/proc/self/fd/4', direct: true, ephemeral: false },
)
const seed = diskOf(
  { name: 'seed', cdrom: {} },
  { format: 'raw', file: 'disk-2.iso', readOnly: true, ephemeral: false },
)

const machines: Record<string, MachinePlan> = {
  'cloud-image': planOf(
    {},
    {
      disks: [overlay, claim, seed],
      cards: [{ card: { name: 'default', bridge: {} }, tap: 'tap0', mac: '02:00:00:00:00:01', mtu: 1450 }],
    },
  ),
  'kvm-uefi': planOf(
    {
      domain: {
        memory: { guest: '1Gi' },
        cpu: { features: [{ name: 'svm', policy: 'disable' }] },
        firmware: { serial: 'S-1', bootloader: { efi: {} } },
        clock: { utc: {}, timer: { hpet: { present: false }, rtc: { tickPolicy: 'catchup' } } },
        devices: { autoattachGraphicsDevice: false, watchdog: { name: 'w', i6300esb: { action: 'poweroff' } } },
      },
    },
    {
      accelerator: 'kvm',
      memoryBytes: 1024 ** 3,
      disks: [overlay],
      firmware: { code: '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd', vars: 'nvram.fd', secure: true },
    },
  ),
  windows: planOf(
    {
      domain: {
        memory: { guest: '2Gi' },
        clock: { utc: {}, timer: { hpet: { present: false }, rtc: { tickPolicy: 'catchup' }, hyperv: {} } },
        features: {
          kvm: { hidden: true },
          hyperv: {
            relaxed: {},
            vapic: { enabled: true },
            vpindex: {},
            spinlocks: { spinlocks: 8191 },
            synic: {},
            synictimer: { direct: {} },
            tlbflush: {},
            frequencies: {},
            reenlightenment: {},
            ipi: {},
            runtime: {},
            reset: {},
            evmcs: { enabled: false },
            vendorid: { vendorid: 'tandem' },
          },
        },
        devices: { video: { type: 'virtio' } },
      },
    },
    {
      accelerator: 'kvm',
      disks: [{ ...overlay, disk: { name: 'root', disk: { bus: 'virtio' }, dedicatedIOThread: true } }],
    },
  ),
  'every-bus': planOf(
    {
      startStrategy: 'Paused',
      domain: {
        machine: { type: 'pc' },
        cpu: { model: 'Nehalem' },
        features: { acpi: { enabled: false } },
        devices: {
          inputs: [{ name: 't', type: 'tablet', bus: 'usb' }],
          autoattachMemBalloon: false,
        },
      },
    },
    {
      cards: [
        {
          card: { name: 'default', model: 'e1000', masquerade: {}, bootOrder: 2 },
          tap: 'tap0',
          mac: '02:00:00:00:00:02',
          mtu: 1500,
        },
        { card: { name: 'lab', bridge: {} }, tap: 'tap1', mac: '02:00:00:00:00:03', mtu: 1500 },
      ],
      disks: [
        diskOf({ name: 'a', disk: { bus: 'sata' }, bootOrder: 1, cache: 'writethrough' }),
        diskOf({
          name: 'b',
          disk: { bus: 'scsi' },
          errorPolicy: 'enospace',
          blockSize: { custom: { logical: 512, physical: 4096 } },
        }),
        diskOf({ name: 'c', disk: { bus: 'usb' } }),
        diskOf({ name: 'd', cdrom: { bus: 'scsi' } }, { readOnly: true, format: 'raw' }),
      ],
    },
  ),
}

machines.tpm = planOf({ domain: { memory: { guest: '512Mi' }, devices: { tpm: {} } } })
machines['kept-tpm'] = planOf({ domain: { memory: { guest: '512Mi' }, devices: { tpm: { persistent: true } } } })
machines['kernel-and-directories'] = planOf(
  {
    domain: {
      memory: { guest: '512Mi', hugepages: { pageSize: '2Mi' } },
      devices: {
        filesystems: [
          { name: 'data', virtiofs: {} },
          { name: 'a,b', virtiofs: {} },
        ],
      },
    },
  },
  { kernel: { kernel: '/proc/self/fd/3', initrd: '/proc/self/fd/4', args: 'console=ttyS0,115200 a="b c"' } },
)
machines['two-nodes'] = planOf(
  { domain: { memory: { guest: '514Mi', hugepages: { pageSize: '2Mi' } } } },
  {
    memoryBytes: 514 * 1024 * 1024,
    topology: { sockets: 2, cores: 2, threads: 1 },
    numa: [
      { hostNode: 0, cpus: [0, 1, 2] },
      { hostNode: 1, cpus: [3] },
    ],
  },
)
const poolDisks = ['a', 'b', 'c'].map((name) => diskOf({ name, disk: { bus: 'virtio' }, shareable: name === 'c' }))
machines['io-threads'] = planOf(
  {
    domain: {
      memory: { guest: '512Mi' },
      ioThreadsPolicy: 'supplementalPool',
      ioThreads: { supplementalPoolThreadCount: 2 },
    },
  },
  { disks: poolDisks },
)
machines['host-devices'] = planOf(
  {},
  {
    hostDevices: [
      { name: 'gpu', pci: '0000:01:00.0' },
      { name: 'vgpu', mdev: '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001' },
    ],
  },
)
machines['client-usb'] = planOf(
  { domain: { devices: { clientPassthrough: {}, inputs: [{ name: 't', type: 'tablet', bus: 'usb' }] } } },
  {},
)
machines['two-networks'] = planOf(
  {},
  {
    cards: ['default', 'lab', 'store'].map((name, index) => ({
      card: { name, bridge: {}, model: index === 2 ? 'e1000' : undefined },
      tap: `tap${index}`,
      mac: `02:00:00:00:01:0${index}`,
      mtu: 1500,
    })),
  },
)

for (const [name, plan] of Object.entries(machines))
  test(`command line of ${name}`, () => {
    const path = join(import.meta.dirname, 'golden', `${name}.txt`)
    const text = `${qemuArgs(plan).join('\n')}\n`
    if (process.env.UPDATE_GOLDEN) {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
    }
    assert.equal(text, readFileSync(path, 'utf8'))
  })

test('a comma in a value is doubled: no name can add an option', () => {
  const evil = 'a,readonly=off,file=/etc/shadow'
  const args = qemuArgs(
    planOf(
      { domain: { firmware: { serial: evil }, chassis: { asset: evil } } },
      { title: `ns/${evil}`, disks: [diskOf({ name: 'd', disk: { bus: 'virtio' }, serial: evil })] },
    ),
  )
  const doubled = 'a,,readonly=off,,file=/etc/shadow'
  assert.ok(args.includes(`guest=ns/${doubled}`))
  assert.ok(args.some((arg) => arg.startsWith('virtio-blk-pci,') && arg.includes(`serial=${doubled},`)))
  assert.equal(args.filter((arg) => arg.includes(evil)).length, 0)
})

test('a path with quotes, commas, newline and a leading dash is one JSON value', () => {
  const file = '-x",\n,file.filename=/etc/shadow$(id)'
  const args = qemuArgs(planOf({}, { disks: [diskOf({ name: 'd', disk: {} }, { file })] }))
  const blockdev = JSON.parse(args[args.indexOf('-blockdev') + 1]!)
  assert.equal(blockdev.file.filename, file)
  assert.equal(blockdev.backing, null)
})

test('what QEMU’s command line cannot carry is refused', () => {
  assert.throws(() => option('a', { b: 'x\ny' }), /control characters/)
  assert.throws(() => option('a', { b: 'x\0' }), /control characters/)
  for (const model of ['max,pmu=on', '-help', '?', ''])
    if (model) assert.throws(() => qemuArgs(planOf({ domain: { cpu: { model } } })), /is not a name/)
  assert.throws(() => qemuArgs(planOf({ domain: { cpu: { features: [{ name: 'a=b' }] } } })), /is not a name/)
  const readOnlySata = diskOf({ name: 'd', disk: { bus: 'sata' } }, { readOnly: true })
  assert.throws(() => qemuArgs(planOf({}, { disks: [readOnlySata] })), /cannot be on bus sata/)
  const native = diskOf({ name: 'd', disk: {}, io: 'native' })
  assert.throws(() => qemuArgs(planOf({}, { disks: [native] })), /io native/)
})

test('the first disk is booted when no boot order is given', () => {
  const devices = qemuArgs(planOf({}, { disks: [overlay, claim] })).filter((arg) => arg.includes('drive=disk'))
  assert.deepEqual(
    devices.map((device) => /bootindex=(\d+)/.exec(device)?.[1]),
    ['1', undefined],
  )
})

test('more than six SATA disks get a second controller', () => {
  const disks = Array.from({ length: 8 }, (_, index) => diskOf({ name: `d${index}`, disk: { bus: 'sata' } }))
  const args = qemuArgs(planOf({}, { disks }))
  assert.ok(args.includes('ich9-ahci,id=sata1'))
  const buses = args.map((arg) => /^ide-hd,.*,bus=([^,]+)/.exec(arg)?.[1]).filter(Boolean)
  assert.deepEqual(buses, ['ide.0', 'ide.1', 'ide.2', 'ide.3', 'ide.4', 'ide.5', 'sata1.0', 'sata1.1'])
})
