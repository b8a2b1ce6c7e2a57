// Everything that one Tandem has on this machine for its workloads, each thing with the uid, address or name of whom it is
// for. What is for nobody is an orphan.

import { execFile } from 'node:child_process'
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { instanceOf } from '../../src/config.ts'
import { identify, type ProcessIdentity, processesBelow } from '../../src/host/machines/process.ts'
import { type StatePaths, statePaths } from '../../src/host/state.ts'

export interface Remain {
  what: string
  /** A uid, an address of the pod network, 'namespace/name' of a virtual machine, or why it is nobody's. */
  owner: string
}

export interface ContainerTask {
  id: string
  owner: string
  process: ProcessIdentity
}

interface ContainerInfo {
  Labels?: Record<string, string>
  Spec?: { linux?: { namespaces?: { type: string; path?: string }[] } }
}

const uidPattern = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/
const idPattern = /[0-9a-f]{64}/

async function output(program: string, ...argv: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, argv, { maxBuffer: 64 << 20 })
  return stdout
}

const linesOf = (text: string): string[] => text.split('\n').filter(Boolean)

export interface Machine {
  remains(): Promise<Remain[]>
  tasks(): Promise<ContainerTask[]>
  /** QEMUs by the uid of their instance. */
  emulators(): Map<string, ProcessIdentity[]>
}

export function machineOf(stateDir: string): Machine {
  const instance = instanceOf(stateDir)
  const paths = statePaths(stateDir, instance)
  /** An id never comes back with other labels. */
  const infos = new Map<string, ContainerInfo>()
  const ctr = (...argv: string[]) => output('ctr', '--address', paths.containerd.socket, '-n', 'k8s.io', ...argv)

  async function info(id: string): Promise<ContainerInfo | undefined> {
    const known = infos.get(id)
    if (known) return known
    try {
      const found = JSON.parse(await ctr('containers', 'info', id)) as ContainerInfo
      infos.set(id, found)
      return found
    } catch {
      // Gone since it was listed.
      return undefined
    }
  }

  async function containers(): Promise<Map<string, ContainerInfo>> {
    const found = new Map<string, ContainerInfo>()
    for (const id of linesOf(await ctr('containers', 'list', '--quiet'))) found.set(id, (await info(id)) ?? {})
    return found
  }

  async function tasks(): Promise<ContainerTask[]> {
    const found: ContainerTask[] = []
    for (const line of linesOf(await ctr('tasks', 'list')).slice(1)) {
      const [id = '', pid = ''] = line.split(/\s+/)
      const process = identify(Number(pid))
      if (process) found.push({ id, owner: ownerOf(await info(id)), process })
    }
    return found
  }

  async function remains(): Promise<Remain[]> {
    const known = await containers()
    const byId = (id: string) =>
      known.has(id) ? ownerOf(known.get(id)) : `container ${id.slice(0, 12)}, which containerd does not know`
    return [
      ...[...known].map(([id, found]) => ({ what: `container ${id.slice(0, 12)}`, owner: ownerOf(found) })),
      ...(await inContainerd(ctr)).map(({ what, id }) => ({ what, owner: byId(id) })),
      ...idsOnDisk(paths, instance).map(({ what, id }) => ({ what, owner: byId(id) })),
      ...podNamespaces(paths, known),
      ...namedByUid(paths, instance),
      ...microvmUsers(paths, byId),
      ...processes(stateDir, instance, byId),
      ...mounts(stateDir, instance, byId),
      ...(await addresses(paths, instance)),
    ]
  }

  return { remains, tasks, emulators: () => processesBelow(paths.machines) }
}

const ownerOf = (info: ContainerInfo | undefined): string => info?.Labels?.['io.kubernetes.pod.uid'] ?? 'no Pod'

async function inContainerd(ctr: (...argv: string[]) => Promise<string>): Promise<{ what: string; id: string }[]> {
  const ids = (text: string) => linesOf(text).slice(1)
  const snapshots = ids(await ctr('snapshots', 'list')).filter((line) => /\bActive\b/.test(line))
  return [
    ...snapshots.map((line) => ({ what: 'snapshot', id: line.split(/\s+/)[0]! })),
    ...ids(await ctr('tasks', 'list')).map((line) => ({ what: `task ${line}`, id: line.split(/\s+/)[0]! })),
  ]
}

function idsOnDisk(paths: StatePaths, instance: string): { what: string; id: string }[] {
  const { root, run } = paths.containerd
  const named = [
    ...[root, run].flatMap((dir) => [
      `${dir}/io.containerd.grpc.v1.cri/containers/*`,
      `${dir}/io.containerd.grpc.v1.cri/sandboxes/*`,
      `${dir}/io.containerd.runtime.v2.task/k8s.io/*`,
    ]),
    `/sys/fs/cgroup/tandem-${instance}/*`,
    `/sys/fs/cgroup/*/tandem-${instance}/*`,
    `/var/lib/cni/results/tandem-${instance}-*`,
    `${paths.microvm}/{pods,containers}/*`,
    `${paths.microvm}/pods/*/tree/c/*`,
  ].flatMap((pattern) => globSync(pattern))
  const given = globSync(`${paths.cni.data}/tandem-${instance}/*.*.*.*`).map((path) => ({
    what: `address ${path}`,
    id: idPattern.exec(read(path))?.[0] ?? '',
  }))
  return [
    ...named.flatMap((path) => {
      const id = idPattern.exec(basename(path))?.[0]
      return id ? [{ what: path, id }] : []
    }),
    ...given.filter(({ what }) => !what.includes('last_reserved_ip')),
  ]
}

/** containerd pins a network namespace for each sandbox. */
function podNamespaces(paths: StatePaths, known: Map<string, ContainerInfo>): Remain[] {
  const users = new Map<string, string>()
  for (const found of known.values())
    for (const { type, path } of found.Spec?.linux?.namespaces ?? [])
      if (type === 'network' && path) users.set(path, ownerOf(found))
  return globSync(`${paths.containerd.run}/io.containerd.grpc.v1.cri/netns/*`).map((path) => ({
    what: `network namespace ${path}`,
    owner: users.get(path) ?? 'no sandbox',
  }))
}

/** Directories, namespaces and files that carry a uid in their name. */
function namedByUid(paths: StatePaths, instance: string): Remain[] {
  return [
    `${paths.pods}/*`,
    `${paths.podLogs}/*`,
    `${paths.machines}/*`,
    `${paths.netns}/tandem-${instance}-*`,
    `/run/tandem-${instance}/dhcp/*`,
    `/sys/fs/cgroup/tandem-${instance}/machines/*/`,
    `/sys/fs/cgroup/*/tandem-${instance}/machines/*/`,
  ]
    .flatMap((pattern) => globSync(pattern))
    .map((path) => ({ what: path, owner: uidPattern.exec(basename(path))?.[0] ?? 'a name without a uid' }))
}

/** Each is claimed for a sandbox, with all its processes: whose they are stands in nothing else of theirs. */
function microvmUsers({ microvm }: StatePaths, byId: (id: string) => string): Remain[] {
  const owners = new Map<number, string>()
  for (const path of globSync(`${microvm}/pods/*/state.json`))
    owners.set((JSON.parse(read(path) || '{}') as { user: number }).user, byId(idPattern.exec(path)?.[0] ?? ''))
  const users = globSync(`${microvm}/users/*`).map((path) => Number(basename(path)))
  return users.map((user) => ({ what: `user ${user}`, owner: owners.get(user) ?? 'no sandbox' }))
}

/** All but Tandem and its containerd, which are for everybody. */
function processes(stateDir: string, instance: string, byId: (id: string) => string): Remain[] {
  const marks = [`${stateDir}/`, `/run/tandem-${instance}/`]
  const machinesDir = join(stateDir, 'machines')
  const emulators = [...processesBelow(machinesDir)].flatMap(([uid, found]) =>
    found.map(({ pid }) => ({ what: `process ${pid}: ${command(pid)}`, owner: uid })),
  )
  const others = readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map((pid) => ({ pid, text: command(Number(pid)) }))
    .filter(({ text }) => marks.some((mark) => text.includes(mark)) && !/^(containerd --config|ctr) /.test(text))
    .map(({ pid, text }) => {
      const id = idPattern.exec(text)?.[0]
      const owner = id ? byId(id) : (uidPattern.exec(text)?.[0] ?? 'nobody')
      return { what: `process ${pid}: ${text}`, owner }
    })
  return [...emulators, ...others]
}

const command = (pid: number): string => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 300)

function mounts(stateDir: string, instance: string, byId: (id: string) => string): Remain[] {
  return linesOf(read('/proc/mounts'))
    .map((line) => line.split(' ')[1]!)
    .filter((point) => point.startsWith(`${stateDir}/`) || point.startsWith(`/run/tandem-${instance}/`))
    .filter((point) => !point.includes('/netns/'))
    .map((point) => {
      const id = idPattern.exec(point)?.[0]
      return { what: `mount ${point}`, owner: id ? byId(id) : (uidPattern.exec(point)?.[0] ?? 'nobody') }
    })
}

/** Interfaces, routes, nftables and the address book of virtual machines. */
async function addresses(paths: StatePaths, instance: string): Promise<Remain[]> {
  const { podCidr } = JSON.parse(read(paths.settings)) as { podCidr: string }
  const [network] = podCidr.split('/')
  const start = network!.split('.').slice(0, 2).join('.')
  const inside = new RegExp(`\\b${start.replaceAll('.', '\\.')}\\.\\d+\\.\\d+(?![\\d/])`, 'g')
  const gateway = `${start}.0.1`
  const routes = [...(await output('ip', '-o', 'route')).matchAll(/^([\d.]+) dev (\S+)/gm)]
    .map(([, address = '', device = '']) => ({ address, device }))
    .filter(({ address }) => address.startsWith(`${start}.`))
  const devices = new Map(routes.map(({ address, device }) => [device, address]))
  const veths = [...(await output('ip', '-o', '-4', 'address')).matchAll(/^\d+: (veth\S+)\s+inet ([\d.]+)/gm)]
    .filter(([, , address]) => address === gateway)
    .map(([, name = '']) => name)
  const table = await output('nft', 'list', 'table', 'ip', `tandem_${instance}`)
  const book = join(paths.cni.machineConfList, '../addresses.json')
  const { leases } = existsSync(book) ? JSON.parse(read(book)) : { leases: {} }
  return [
    ...routes.map(({ address }) => ({ what: `route to ${address}`, owner: address })),
    ...veths.map((name) => ({ what: `interface ${name}`, owner: devices.get(name) ?? 'no route' })),
    ...[...new Set(table.match(inside))]
      .filter((address) => address !== gateway)
      .map((address) => ({ what: `${address} in nftables`, owner: address })),
    ...Object.keys(leases).map((key) => ({ what: `address of VM ${key}`, owner: key })),
  ]
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
