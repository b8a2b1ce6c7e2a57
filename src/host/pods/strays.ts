// What is left of a container whose making was cut off, as the end of Tandem does to calls under way: a shim that nobody
// asks any more and control groups (seen with containerd 1.6.20, runc 1.1.5). Both carry the id of the container; when
// containerd has none of that id, they are nobody's and go.

import { readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { cgroupsOf, processesIn, removeTree } from './cgroups.ts'

export interface Strays {
  /** Removes what, now and at the last call, belonged to no container. */
  remove(known: Set<string>): Promise<void>
}

export interface StraysOptions {
  /** "/tandem-<instance>" */
  cgroup: string
  /** containerd's: its shims carry it on their command lines. */
  socket: string
}

/** Of containers and sandboxes; groups of virtual machines have other names. */
const containerId = /^[0-9a-f]{64}$/

export function createStrays({ cgroup, socket }: StraysOptions): Strays {
  /** One look is not enough: containerd may be about to end them itself. A second signal is less polite. */
  let suspects = new Map<string, number>()

  async function found(): Promise<Map<string, { shims: number[]; groups: string[] }>> {
    const all = new Map<string, { shims: number[]; groups: string[] }>()
    const of = (id: string) => {
      const one = all.get(id) ?? { shims: [], groups: [] }
      all.set(id, one)
      return one
    }
    for (const { id, path } of await cgroupsOf(cgroup)) if (containerId.test(id)) of(id).groups.push(path)
    for (const { id, pid } of await shimsOf(socket)) of(id).shims.push(pid)
    return all
  }

  return {
    async remove(known) {
      const before = suspects
      suspects = new Map()
      for (const [id, { shims, groups }] of await found()) {
        if (known.has(id)) continue
        const looks = (before.get(id) ?? 0) + 1
        suspects.set(id, looks)
        if (looks === 1) continue
        for (const pid of shims) end(pid, looks === 2 ? 'SIGTERM' : 'SIGKILL')
        for (const group of groups) {
          for (const pid of await processesIn(group)) end(pid, 'SIGKILL')
          await removeTree(group)
        }
      }
    },
  }
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
