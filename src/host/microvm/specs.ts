// One bundle of containerd's becomes two (pure): what runs in the guest, and what stands for it on this machine. The latter
// is run by runc like any container, so that pipes, terminals, exit codes, control groups and namespaces are runc's.

import { goOnArgv, type MachineShape, machineArgv } from './machine-argv.ts'
import { networkOf, type OciMount, type OciProcess, type OciSpec } from './oci.ts'
import { bootFolder } from './places.ts'

/** In the guest: the folder that it shares with this machine. */
const guestPod = '/pod'
export const guestFolderOf = (id: string): string => `${guestPod}/c/${id}`

/** A file or folder of this machine that the guest sees as m/<index> of the container's folder. */
export interface SharedSource {
  index: number
  source: string
  readOnly: boolean
}

interface GuestContainer {
  spec: OciSpec
  shared: SharedSource[]
}

const isBind = ({ type, options = [] }: OciMount): boolean =>
  type === 'bind' || options.includes('bind') || options.includes('rbind')

/** How mounts travel between namespaces of this machine says nothing in a guest. */
const propagations = new Set(['rslave', 'slave', 'rshared', 'shared', 'rprivate', 'private'])

/** @throws Error for what a Pod in a micro-VM cannot have */
export function guestContainer(spec: OciSpec, id: string, pidNamespaces: ReadonlyMap<string, string>): GuestContainer {
  if (spec.linux.devices?.length)
    throw new Error(
      'a micro-VM has no devices of this machine: volumeDevices and privileged need another runtimeClassName',
    )
  const shared: SharedSource[] = []
  const mounts = (spec.mounts ?? []).map((mount, index): OciMount => {
    const options = (mount.options ?? []).filter((option) => !propagations.has(option))
    if (!isBind(mount)) return { ...mount, options }
    if (mount.destination === '/dev/shm') return { ...mount, source: '/run/shm', options }
    if (!mount.source) throw new Error(`the mount at ${mount.destination} has no source`)
    shared.push({ index, source: mount.source, readOnly: options.includes('ro') })
    return { ...mount, source: `${guestFolderOf(id)}/m/${index}`, options }
  })
  const { seccomp, maskedPaths, readonlyPaths, sysctl, resources } = spec.linux
  const guest: OciSpec = {
    ociVersion: '1.0.2',
    process: guestProcess(spec.process),
    root: { path: `${guestFolderOf(id)}/rootfs`, readonly: spec.root.readonly },
    mounts,
    annotations: {},
    linux: {
      namespaces: guestNamespaces(spec, pidNamespaces),
      // One below what counts: crun takes its own away at the end (guest/run).
      cgroupsPath: `/containers/${id}/own`,
      ...(resources && { resources: guestResources(resources) }),
      ...(sysctl && { sysctl }),
      ...(seccomp && { seccomp }),
      ...(maskedPaths && { maskedPaths }),
      ...(readonlyPaths && { readonlyPaths }),
    },
  }
  return { spec: guest, shared }
}

/** Labels of this machine's kernel are unknown to the guest's. */
export function guestProcess({ apparmorProfile: _, selinuxLabel: __, ...process }: OciProcess): OciProcess {
  return process
}

/** The guest's network, names and IPC are the Pod's; processes are a container's own or those of another one. */
function guestNamespaces({ linux }: OciSpec, pidNamespaces: ReadonlyMap<string, string>) {
  const held = ['network', 'uts', 'ipc']
  const short: Record<string, string> = { network: 'net', uts: 'uts', ipc: 'ipc' }
  return linux.namespaces.flatMap(({ type, path }) => {
    if (held.includes(type)) return [{ type, path: `/run/ns/${short[type]}` }]
    if (type === 'pid' && path) return [{ type, path: pidNamespaces.get(path) ?? '/run/ns/pid' }]
    return type === 'cgroup' || type === 'mount' || type === 'pid' ? [{ type }] : []
  })
}

/** Huge pages and devices of this machine are none of the guest's. */
function guestResources({ hugepageLimits: _, unified: __, ...resources }: Record<string, any>) {
  return resources
}

export interface Places {
  /** Of this machine: the folder of the sandbox, the parts, and the empty root for QEMU. */
  folder: string
  parts: string
  machineRoot: string
  /** Nobody else's user. */
  user: number
  /** Saved state that the machine goes on from. */
  template?: string
}

const quiet = ['nosuid', 'noexec', 'nodev']
const devices: OciMount = {
  destination: '/dev',
  type: 'tmpfs',
  source: 'tmpfs',
  options: ['nosuid', 'noexec', 'mode=755', 'size=64k'],
}
const proc: OciMount = { destination: '/proc', type: 'proc', source: 'proc', options: quiet }
const tmp: OciMount = {
  destination: '/tmp',
  type: 'tmpfs',
  source: 'tmpfs',
  options: [...quiet, 'size=1m', 'mode=1777'],
}
const terminals: OciMount = {
  destination: '/dev/pts',
  type: 'devpts',
  source: 'devpts',
  options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
}
const bound = (source: string, destination: string, ...options: string[]): OciMount => ({
  destination,
  type: 'bind',
  source,
  options: ['rbind', 'nosuid', 'nodev', ...options],
})

/** Alone in its namespaces, and in the Pod's network. */
function ownNamespaces(spec: OciSpec) {
  return [
    ...['mount', 'pid', 'ipc', 'uts'].map((type) => ({ type })),
    ...spec.linux.namespaces.filter(({ type }) => type === 'network'),
  ]
}

const noRights = { bounding: [], effective: [], inheritable: [], permitted: [], ambient: [] }

/** What QEMU needs beside the memory of its guest: code that it has translated, buffers, its own. */
const ownMemory = 256 * 2 ** 20

/** QEMU in the place of the container that holds a Pod's namespaces. */
export function machineSpec(spec: OciSpec, shape: MachineShape, places: Places): OciSpec {
  if (!networkOf(spec))
    throw new Error('a Pod in a micro-VM has a network of its own: hostNetwork needs another runtimeClassName')
  const tun = {
    type: 'c',
    path: '/dev/net/tun',
    major: 10,
    minor: 200,
    fileMode: 0o600,
    uid: places.user,
    gid: places.user,
  }
  const kvm = {
    type: 'c',
    path: '/dev/kvm',
    major: 10,
    minor: 232,
    fileMode: 0o600,
    uid: places.user,
    gid: places.user,
  }
  const wanted = shape.accelerator === 'kvm' ? [tun, kvm] : [tun]
  const { resources = {}, cgroupsPath } = spec.linux
  return {
    ociVersion: spec.ociVersion,
    process: {
      user: { uid: places.user, gid: places.user },
      args: places.template ? goOnArgv(shape) : machineArgv(shape),
      env: ['PATH=/usr/bin:/bin', 'LC_ALL=C.UTF-8'],
      cwd: '/vm',
      capabilities: noRights,
      noNewPrivileges: true,
      oomScoreAdj: spec.process.oomScoreAdj,
    },
    root: { path: places.machineRoot, readonly: true },
    mounts: [
      proc,
      devices,
      tmp,
      bound('/usr', '/usr', 'ro'),
      bound(places.parts, '/parts', 'ro'),
      bound(`${places.folder}/vm`, '/vm'),
      ...(places.template ? [bound(places.template, '/template', 'ro')] : []),
    ],
    annotations: spec.annotations,
    linux: {
      namespaces: ownNamespaces(spec),
      cgroupsPath,
      devices: wanted,
      resources: {
        ...resources,
        cpu: { ...resources.cpu, shares: shape.cpuShares },
        memory: { limit: shape.memoryBytes + ownMemory },
        devices: [
          { allow: false, access: 'rwm' },
          ...wanted.map(({ type, major, minor }) => ({ allow: true, access: 'rw', type, major, minor })),
        ],
      },
    },
  }
}

/**
 * What stands for a container. The guest's kernel has killed it for its memory: so it must look here, too, where containerd
 * learns of it from this machine's kernel, and it asks for more than it may have.
 */
const mainScript = `/bin/reach "$@"; code=$?
[ $code = 137 ] && [ -e "/pod/oom-$0" ] && exec dd if=/dev/zero of=/dev/null bs=1G count=1
exit $code`
const clientMemory = 64 * 2 ** 20

/** For client/reach. */
const terminalFlag = ({ terminal }: OciProcess): string => (terminal ? '-t' : '-T')

const client = (process: OciProcess, user: number, args: string[]): OciProcess => ({
  terminal: process.terminal,
  user: { uid: user, gid: user },
  args,
  env: ['PATH=/bin:/usr/bin'],
  cwd: '/',
  capabilities: noRights,
  noNewPrivileges: true,
  oomScoreAdj: process.oomScoreAdj,
})

/** One more process of a container: a program of the guest's (guest/enter). */
export const enteringProcess = (process: OciProcess, user: number, id: string, number: string): OciProcess =>
  client(process, user, ['/bin/reach', terminalFlag(process), 'enter', id, number])

/** The program that stands for a container of the guest's. */
export function clientSpec(spec: OciSpec, id: string, places: Places): OciSpec {
  return {
    ociVersion: spec.ociVersion,
    process: client(spec.process, places.user, [
      ...['/bin/sh', '-c', mainScript, id],
      ...[terminalFlag(spec.process), 'run', id],
    ]),
    root: { path: `${places.parts}/tools`, readonly: true },
    mounts: [proc, devices, terminals, tmp, bound(bootFolder(places.folder), '/pod', 'ro')],
    annotations: spec.annotations,
    linux: {
      namespaces: ownNamespaces(spec),
      cgroupsPath: spec.linux.cgroupsPath,
      resources: { devices: [{ allow: false, access: 'rwm' }], memory: { limit: clientMemory } },
    },
  }
}
