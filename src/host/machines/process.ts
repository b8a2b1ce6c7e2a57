// QEMU as a process of this machine: started detached as an unprivileged user in the machine's network namespace, found
// again by its working directory after a restart, never mistaken for a stranger that got its pid.

import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { basename, join } from 'node:path'

export interface ProcessIdentity {
  pid: number
  /** Field 22 of /proc/<pid>/stat: clock ticks after boot. A recycled pid has another one. */
  startTime: string
}

export interface ProcessUser {
  uid: number
  gid: number
  /** Further groups, e.g. the one that owns /dev/kvm. */
  groups?: number[]
}

export interface LaunchRequest {
  program: string
  args: string[]
  directory: string
  logFile: string
  /** Network namespace to be in; absent: a fresh one with nothing in it. */
  netns?: string
  /** Absent: stay who we are. */
  user?: ProcessUser
  /** Directory that the process, when it is another user, must not see. */
  hidden: string
  /** A directory of the hidden ones that the process is to see, as /mnt. */
  shown?: string
  /** It may keep all of its memory from being swapped out. */
  locksMemory?: boolean
  /** Root of a user namespace in which nobody else exists. */
  ownUserNamespace?: boolean
  /** Files that the process gets open, as descriptors 3, 4, … */
  files: number[]
}

/** The number that the first of `files` has inside the process. */
export const firstFile = 3

/** Starts the process in a session of its own; it outlives Tandem. `onExit` is called only while this Tandem lives. */
export function launch(request: LaunchRequest, onExit: (how: string) => void): Promise<ProcessIdentity> {
  const [program, ...args] = wrapped(request) as [string, ...string[]]
  const log = openSync(request.logFile, 'a', 0o600)
  const child = spawn(program, args, {
    cwd: request.directory,
    detached: true,
    stdio: ['ignore', log, log, ...request.files],
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
  })
  closeSync(log)
  child.unref()
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`cannot start ${program}: ${error.message}`, { cause: error })))
    child.once('spawn', () => {
      const identity = identify(child.pid!)
      if (identity) resolve(identity)
      else reject(new Error(`${program} ended at once`))
    })
    child.once('exit', (code, signal) => onExit(signal ? `killed by ${signal}` : `exit code ${code}`))
  })
}

/** Covers what it gets as its first argument with an empty file system, and becomes the rest of its arguments. */
const hiding = 'mount -t tmpfs -o size=4k,mode=0,nosuid,nodev,noexec tmpfs "$0" && exec "$@"'
/** The same, with its second argument shown as /mnt, and a /run of the process's own. */
const showing = `mount --bind "$1" /mnt && mount -t tmpfs -o size=64k,mode=0700,uid="$2" tmpfs /run && shift 2 && ${hiding}`

/** Every step replaces itself with the next program: the pid stays the same. */
function wrapped({
  program,
  args,
  netns,
  user,
  hidden,
  shown,
  ownUserNamespace,
  locksMemory,
}: LaunchRequest): string[] {
  if (!user) return netns ? ['nsenter', `--net=${netns}`, program, ...args] : [program, ...args]
  // A mount namespace of its own, in which the files of all others are not there; its own directory is its working one.
  const alone = [
    'unshare',
    '--mount',
    '--propagation=private',
    'sh',
    '-c',
    shown ? showing : hiding,
    hidden,
    ...(shown ? [shown, String(user.uid)] : []),
  ]
  const enter = [...(netns ? ['nsenter', `--net=${netns}`] : ['unshare', '--net']), ...alone]
  const groups = user.groups?.length ? `--groups=${user.groups.join(',')}` : '--clear-groups'
  const drop = ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, groups, '--no-new-privs']
  const own = ownUserNamespace ? ['unshare', '--user', '--map-root-user'] : []
  const limits = locksMemory ? ['prlimit', '--memlock=unlimited'] : []
  return [...limits, ...enter, ...drop, '--inh-caps=-all', '--bounding-set=-all', ...own, program, ...args]
}

/** undefined when there is no such process, or it is dead and only waits to be collected. */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in parentheses may contain anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : { pid, startTime: fields[19]! }
  } catch {
    return undefined
  }
}

export const isAlive = (identity: ProcessIdentity): boolean => identify(identity.pid)?.startTime === identity.startTime

/** Sends the signal if the process is still the same one. */
export function signal(identity: ProcessIdentity, name: NodeJS.Signals): void {
  if (!isAlive(identity)) return
  try {
    process.kill(identity.pid, name)
  } catch {
    // It ended between the look and the signal.
  }
}

/** Kills and waits until it is gone. @throws Error when it does not go (it hangs in the kernel). */
export async function killAndWait(identity: ProcessIdentity, timeoutMs = 10_000): Promise<void> {
  signal(identity, 'SIGKILL')
  for (let waited = 0; isAlive(identity); waited += 10) {
    if (waited > timeoutMs) throw new Error(`process ${identity.pid} does not end`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Every process whose working directory is directly below `directory`: machine uid → its processes. */
export function processesBelow(directory: string): Map<string, ProcessIdentity[]> {
  const found = new Map<string, ProcessIdentity[]>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const cwd = workingDirectory(Number(entry))
    if (!cwd || join(directory, basename(cwd)) !== cwd) continue
    const identity = identify(Number(entry))
    if (identity) found.set(basename(cwd), [...(found.get(basename(cwd)) ?? []), identity])
  }
  return found
}

function workingDirectory(pid: number): string | undefined {
  try {
    // A removed directory is shown with a mark behind its name.
    return readlinkSync(`/proc/${pid}/cwd`).replace(/ \(deleted\)$/, '')
  } catch {
    return undefined
  }
}
