// A Pod's machine: its size, its arguments, what of a bundle goes into the guest and what stands for it here, its network.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCall } from './call.ts'
import { missingForMicrovm } from './handler.ts'
import { machineArgv } from './machine-argv.ts'
import { guardRules, guestNetwork, linkLines } from './network.ts'
import type { OciSpec } from './oci.ts'
import { sizeOf } from './size.ts'
import { clientSpec, guestContainer, machineSpec } from './specs.ts'

const id = 'ab'.repeat(32)
const mebi = 2 ** 20
const places = { folder: '/run/m/pods/s', parts: '/parts-1', machineRoot: '/run/m/root', user: 1_090_007 }

const bundle = (): OciSpec => ({
  ociVersion: '1.0.2-dev',
  process: {
    user: { uid: 1000, gid: 1000 },
    args: ['/bin/server'],
    env: ['PATH=/bin', 'TERM=vt220'],
    cwd: '/srv',
    capabilities: { bounding: ['CAP_CHOWN'] },
    apparmorProfile: 'cri-containerd.apparmor.d',
  },
  root: { path: 'rootfs', readonly: true },
  mounts: [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid'] },
    { destination: '/dev/shm', type: 'bind', source: '/run/sandboxes/x/shm', options: ['rbind', 'rw'] },
    { destination: '/data', type: 'bind', source: '/pods/1/volumes/data', options: ['rbind', 'rprivate', 'ro'] },
  ],
  linux: {
    namespaces: [
      { type: 'pid' },
      { type: 'ipc', path: '/proc/7/ns/ipc' },
      { type: 'network', path: '/run/netns/cni-1' },
      { type: 'mount' },
    ],
    cgroupsPath: '/tandem/x',
    resources: { memory: { limit: 64 * mebi }, hugepageLimits: [{ pageSize: '2MB', limit: 0 }] },
    seccomp: { defaultAction: 'SCMP_ACT_ERRNO' },
  },
})

test('in the guest the container is what containerd wanted, with the files where the guest sees them', () => {
  const { spec, shared } = guestContainer(bundle(), id, new Map())
  assert.deepEqual(shared, [{ index: 2, source: '/pods/1/volumes/data', readOnly: true }])
  assert.equal(spec.root.path, `/pod/c/${id}/rootfs`)
  assert.deepEqual(spec.mounts?.slice(1), [
    { destination: '/dev/shm', type: 'bind', source: '/run/shm', options: ['rbind', 'rw'] },
    { destination: '/data', type: 'bind', source: `/pod/c/${id}/m/2`, options: ['rbind', 'ro'] },
  ])
  assert.equal(spec.process.apparmorProfile, undefined)
  assert.deepEqual(spec.process.user, { uid: 1000, gid: 1000 })
  assert.deepEqual(spec.linux.resources, { memory: { limit: 64 * mebi } })
  assert.deepEqual(spec.linux.namespaces, [
    { type: 'pid' },
    { type: 'ipc', path: '/run/ns/ipc' },
    { type: 'network', path: '/run/ns/net' },
    { type: 'mount' },
  ])
})

test('devices of this machine are refused', () => {
  const spec = bundle()
  spec.linux.devices = [{ path: '/dev/vda', type: 'b', major: 254, minor: 0 }]
  assert.throws(() => guestContainer(spec, id, new Map()), /volumeDevices and privileged/)
})

test('processes are shared with the Pod, or with the container that is looked at', () => {
  const spec = bundle()
  spec.linux.namespaces[0] = { type: 'pid', path: '/proc/99/ns/pid' }
  const pidOf = (known: Map<string, string>) => guestContainer(spec, id, known).spec.linux.namespaces[0]?.path
  assert.equal(pidOf(new Map()), '/run/ns/pid')
  assert.equal(pidOf(new Map([['/proc/99/ns/pid', '/proc/12/ns/pid']])), '/proc/12/ns/pid')
})

test('what stands for the container here is nobody, can do nothing, and sees none of its files', () => {
  const spec = clientSpec(bundle(), id, places)
  assert.deepEqual(spec.process.user, { uid: places.user, gid: places.user })
  assert.deepEqual(new Set(Object.values(spec.process.capabilities ?? {}).flat()), new Set())
  assert.equal(spec.process.noNewPrivileges, true)
  assert.deepEqual(spec.process.args.slice(-4), [id, '-T', 'run', id])
  assert.ok(!JSON.stringify(spec.mounts).includes('/pods/1/volumes'))
  assert.equal(spec.linux.cgroupsPath, '/tandem/x')
  assert.deepEqual(
    spec.linux.namespaces.find(({ type }) => type === 'network'),
    { type: 'network', path: '/run/netns/cni-1' },
  )
})

test('QEMU takes the place of the container that holds the namespaces, and the Pod must have a network of its own', () => {
  const shape = { memoryBytes: 128 * mebi, cpus: 2, podMac: '02:00:00:00:00:09', accelerator: 'tcg' as const }
  const spec = machineSpec(bundle(), shape, places)
  assert.equal(spec.process.args[0], '/usr/bin/qemu-system-x86_64')
  assert.deepEqual(spec.process.user, { uid: places.user, gid: places.user })
  assert.deepEqual(spec.linux.resources?.devices.slice(1), [
    { allow: true, access: 'rw', type: 'c', major: 10, minor: 200 },
  ])
  const onHost = bundle()
  onHost.linux.namespaces = [{ type: 'mount' }]
  assert.throws(() => machineSpec(onHost, shape, places), /hostNetwork/)
})

test('arguments of QEMU', () => {
  const argv = machineArgv({ memoryBytes: 128 * mebi, cpus: 2, podMac: '02:00:00:00:00:09', accelerator: 'tcg' })
  const after = (name: string) => argv[argv.indexOf(name) + 1]
  assert.equal(after('-m'), '128')
  assert.equal(after('-smp'), '2')
  assert.equal(after('-object'), 'memory-backend-memfd,id=ram,size=128M,share=on')
  assert.ok(argv.includes('virtio-net-pci,netdev=pod,mac=02:00:00:00:00:09,romfile='))
  assert.match(after('-sandbox')!, /^on,/)
  assert.match(after('-append')!, /clocksource=hpet/)
})

test('in KVM the processor is this machine’s, and so are its clock and its care for other guests', () => {
  const argv = machineArgv({ memoryBytes: 128 * mebi, cpus: 2, podMac: '02:00:00:00:00:09', accelerator: 'kvm' })
  const after = (name: string) => argv[argv.indexOf(name) + 1]
  assert.deepEqual([after('-accel'), after('-cpu')], ['kvm', 'host'])
  assert.doesNotMatch(after('-append')!, /hpet|mitigations=off/)
})

test('size: limits and what a kernel needs; 512 MiB without', () => {
  const of = (notes: Record<string, string>) => sizeOf((name) => notes[name], 4)
  assert.deepEqual(of({}), { memoryBytes: 512 * mebi, cpus: 1, cpuShares: 256 })
  assert.deepEqual(
    of({ 'sandbox-memory': `${256 * mebi}`, 'sandbox-cpu-quota': '150000', 'sandbox-cpu-period': '100000' }),
    {
      memoryBytes: 320 * mebi,
      cpus: 2,
      cpuShares: 256,
    },
  )
  assert.equal(of({ 'sandbox-memory': `${mebi}` }).memoryBytes, 128 * mebi)
  assert.equal(of({ 'sandbox-cpu-quota': '6400000', 'sandbox-cpu-period': '100000' }).cpus, 4)
})

test('the guest takes over address and card; the bridge port gets another one', () => {
  const links = [
    {
      ifname: 'eth0',
      address: '02:00:00:00:00:08',
      mtu: 1400,
      addr_info: [{ family: 'inet', local: '10.44.0.9', prefixlen: 24, scope: 'global' }],
    },
  ]
  const network = guestNetwork(links, [{ dst: 'default', gateway: '10.44.0.1' }])
  assert.deepEqual(network, { mac: '02:00:00:00:00:08', address: '10.44.0.9/32', gateway: '10.44.0.1', mtu: 1400 })
  assert.ok(
    linkLines(network, 1_090_007).includes('link set dev eth0 addrgenmode none address 02:00:00:00:00:09 master guest'),
  )
  assert.match(guardRules(network), /ether saddr != 02:00:00:00:00:08 drop/)
  assert.throws(() => guestNetwork([], []), /no eth0/)
})

test('a call of the shim is taken apart', () => {
  const argv = [
    '--root',
    '/r',
    '--log',
    '/l.json',
    '--log-format',
    'json',
    'create',
    '--bundle',
    '/b',
    '--pid-file=/p',
    id,
  ]
  assert.deepEqual(parseCall(argv), {
    ...{ command: 'create', id, bundle: '/b', process: undefined, pidFile: '/p', log: '/l.json' },
  })
})

test('what is missing is named with its remedy', () => {
  assert.equal(
    missingForMicrovm(() => true),
    undefined,
  )
  assert.match(missingForMicrovm((path) => !path.includes('virtiofsd'))!, /apt-get install qemu-system-common/)
})
