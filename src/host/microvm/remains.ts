// What is left of micro-VMs whose making or whose end was cut off: folders, mounts, processes and users. Each belongs to a
// container or a sandbox by its id; when containerd has none of that id, it is nobody's and goes.

import { statSync } from 'node:fs'
import { readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { directoriesIn } from '../pods/directories.ts'
import { unmountBelow } from '../pods/unmount.ts'
import { parseCall } from './call.ts'
import { bootFolder, containerFolder, containerLink, firstUser, mountFolder, podFolder, userCount } from './places.ts'

export interface Remains {
  /** Removes what, now and at the last call, belonged to no container. */
  removeStrays(known: ReadonlySet<string>): Promise<void>
  removeAll(): Promise<void>
}

const isId = (name: string): boolean => /^[0-9a-f]{64}$/.test(name)

export function createRemains(run: string): Remains {
  /** One look is not enough: what is being made or removed at this moment looks the same. */
  let suspects = new Set<string>()
  const at = { run, home: '' }
  const pods = join(run, 'pods')
  const ids = async (folder: string) => (await readdir(folder).catch(() => [])).filter(isId)

  /** Removals by what they remove. */
  async function found(known: ReadonlySet<string>): Promise<Map<string, () => Promise<void>>> {
    const strays = new Map<string, () => Promise<void>>()
    const usersTaken = new Set<string>()
    // First: what it makes comes after.
    for (const { pid, id } of await makersOf(dirname(run)))
      if (!known.has(id)) strays.set(`maker ${pid}`, async () => end(pid))
    for (const id of await ids(pods)) {
      if (!known.has(id)) strays.set(`pod ${id}`, () => removePod(id))
      usersTaken.add(`${await userOf(podFolder(at, id))}`)
      for (const container of await ids(join(podFolder(at, id), 'tree/c')))
        if (!known.has(container))
          strays.set(`container ${id} ${container}`, () => removeContainer(container, podFolder(at, id)))
    }
    for (const id of await ids(join(run, 'containers')))
      if (!known.has(id)) strays.set(`link ${id}`, () => rm(containerLink(at, id), { force: true }))
    for (const user of await directoriesIn(join(run, 'users')))
      if (!usersTaken.has(user)) strays.set(`user ${user}`, () => rmdir(join(run, 'users', user)))
    return strays
  }

  async function removePod(id: string): Promise<void> {
    const folder = podFolder(at, id)
    const user = await userOf(folder)
    await endProcesses(id, user)
    await unmountBelow([folder])
    if (!(await isMounted(folder))) await rm(folder, { recursive: true, force: true })
    if (user) await rmdir(join(run, 'users', `${user}`)).catch(() => {})
  }

  return {
    async removeStrays(known) {
      const before = suspects
      const strays = await found(known)
      suspects = new Set(strays.keys())
      for (const [what, remove] of strays) if (before.has(what)) await remove()
    },
    async removeAll() {
      for (const remove of (await found(new Set())).values()) await remove()
    },
  }
}

async function removeContainer(id: string, folder: string): Promise<void> {
  await unmountBelow([mountFolder(folder, id)])
  // Somebody's data is mounted there: gone, or nothing is removed.
  if (await isMounted(mountFolder(folder, id))) return
  await rm(containerFolder(folder, id), { recursive: true, force: true })
  for (const name of ['started', 'exit', 'lost', 'log'])
    await rm(join(bootFolder(folder), `${id}.${name}`), { force: true })
}

const isMounted = async (folder: string): Promise<boolean> =>
  (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').some((line) => {
    const point = line.split(' ')[4] ?? ''
    return point === folder || point.startsWith(`${folder}/`)
  })

async function userOf(folder: string): Promise<number | undefined> {
  try {
    const { user } = JSON.parse(await readFile(join(folder, 'state.json'), 'utf8')) as { user: number }
    return Number.isInteger(user) ? user : undefined
  } catch {
    // It was cut off before it had one.
    return undefined
  }
}

/** Calls of the runtime that outlived whoever waited for them: they know their bundles, which are below `folder`. */
async function makersOf(folder: string): Promise<{ pid: number; id: string }[]> {
  const found: { pid: number; id: string }[] = []
  for (const { pid, argv } of await processes()) {
    const isOurs = argv[1]?.endsWith('/microvm/runtime.ts') && argv.some((word) => word.startsWith(`${folder}/`))
    if (isOurs) found.push({ pid, id: parseCall(argv.slice(2).filter(Boolean)).id })
  }
  return found
}

async function processes(): Promise<{ pid: number; argv: string[] }[]> {
  const pids = (await directoriesIn('/proc')).filter((name) => /^\d+$/.test(name))
  const text = (pid: string) => readFile(join('/proc', pid, 'cmdline'), 'utf8').catch(() => '')
  return Promise.all(pids.map(async (pid) => ({ pid: Number(pid), argv: (await text(pid)).split('\0') })))
}

/** QEMU by its user, which is no other's; who serves files by the sandbox that it names. */
async function endProcesses(id: string, user: number | undefined): Promise<void> {
  for (const { pid, argv } of await processes()) {
    const owner = isOurs(user) && statSync(join('/proc', `${pid}`), { throwIfNoEntry: false })?.uid
    if ((isOurs(user) && owner === user) || isServerOf(argv, id)) end(pid)
  }
}

/** Never somebody else's processes, whatever a file says. */
const isOurs = (user: number | undefined): boolean =>
  user !== undefined && user >= firstUser && user < firstUser + userCount

export const isServerOf = (argv: string[], id: string): boolean =>
  basename(argv[0] ?? '') === 'virtiofsd' && argv.includes(`--socket-path=${id}/vm/files.sock`)

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
