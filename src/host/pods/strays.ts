// What is left of a container whose making was cut off, as the end of Tandem does to calls under way: a shim that nobody
// asks any more, control groups and directories (seen with containerd 1.6.20, runc 1.1.5). All carry the id of the
// container; when containerd has none of that id, they are nobody's and go.

import { readdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { cgroupsOf, processesIn, removeTree } from './cgroups.ts'
import { unmountBelow } from './unmount.ts'

export interface Strays {
  /** Removes what, now and at the last call, belonged to no container. */
  remove(known: Set<string>): Promise<void>
}

export interface StraysOptions {
  /** "/tandem-<instance>" */
  cgroup: string
  /** containerd's: its shims carry it on their command lines. */
  socket: string
  /** Its `root` and its `state`. */
  directories: string[]
}

interface Stray {
  shims: number[]
  groups: string[]
  directories: string[]
}

/** Below root and state alike: what containerd keeps of each task, and its CRI plugin of each container and sandbox. */
const perContainer = [
  'io.containerd.runtime.v2.task/k8s.io',
  'io.containerd.grpc.v1.cri/containers',
  'io.containerd.grpc.v1.cri/sandboxes',
]

/** Looks before directories go: containerd makes some before it knows the container, and a busy disk may take its time. */
const patience = 5

/** Of containers and sandboxes; groups of virtual machines have other names. */
const containerId = /^[0-9a-f]{64}$/

export function createStrays({ cgroup, socket, directories }: StraysOptions): Strays {
  /** One look is not enough: containerd may be about to end them itself. A second signal is less polite. */
  let suspects = new Map<string, number>()

  async function found(): Promise<Map<string, Stray>> {
    const all = new Map<string, Stray>()
    const of = (id: string) => {
      const one = all.get(id) ?? { shims: [], groups: [], directories: [] }
      all.set(id, one)
      return one
    }
    for (const { id, path } of await cgroupsOf(cgroup)) if (containerId.test(id)) of(id).groups.push(path)
    for (const { id, pid } of await shimsOf(socket)) of(id).shims.push(pid)
    for (const parent of directories.flatMap((directory) => perContainer.map((name) => join(directory, name))))
      for (const id of await readdir(parent).catch(() => []))
        if (containerId.test(id)) of(id).directories.push(join(parent, id))
    return all
  }

  return {
    async remove(known) {
      const before = suspects
      suspects = new Map()
      for (const [id, stray] of await found()) {
        if (known.has(id)) continue
        const looks = (before.get(id) ?? 0) + 1
        suspects.set(id, looks)
        if (looks === 1) continue
        for (const pid of stray.shims) end(pid, looks === 2 ? 'SIGTERM' : 'SIGKILL')
        for (const group of stray.groups) {
          for (const pid of await processesIn(group)) end(pid, 'SIGKILL')
          await removeTree(group)
        }
        if (stray.shims.length === 0 && looks >= patience) await removeDirectories(stray.directories)
      }
    },
  }
}

/** A root file system that is still mounted there must not be emptied. */
async function removeDirectories(directories: string[]): Promise<void> {
  if (directories.length === 0) return
  await unmountBelow(directories)
  for (const directory of directories) await rm(directory, { recursive: true, force: true })
}

/** Those that outlived all their containers and containerd. */
export async function endShims(socket: string): Promise<void> {
  for (const { pid } of await shimsOf(socket)) end(pid, 'SIGTERM')
}

/** Shims of this containerd, each with the id of its sandbox. */
async function shimsOf(socket: string): Promise<{ id: string; pid: number }[]> {
  const shims: { id: string; pid: number }[] = []
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const text = await readFile(join('/proc', entry, 'cmdline'), 'utf8').catch(() => '')
    const id = shimId(text.split('\0'), socket)
    if (id) shims.push({ id, pid: Number(entry) })
  }
  return shims
}

export function shimId(argv: string[], socket: string): string | undefined {
  const after = (option: string) => argv[argv.indexOf(option) + 1]
  if (!basename(argv[0] ?? '').startsWith('containerd-shim') || after('-address') !== socket) return undefined
  return after('-id')
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}
