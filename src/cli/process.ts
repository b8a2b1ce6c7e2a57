// The Tandem process of a state directory, seen from outside: is it there, start it, stop it.

import { spawn } from 'node:child_process'
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Config, requireOwnInstance } from '../config.ts'
import { CommandError } from './output.ts'

/** Written by `serve` once it holds the state directory; see host/state.ts. */
export const pidPath = (config: Config): string => `/run/tandem-${config.instance}/tandem.pid`
export const kubeconfigPath = (config: Config): string => `${config.stateDir}/kubeconfig`
export const logPath = (config: Config): string => `${config.stateDir}/tandem.log`

/** The pid of the running Tandem, if there is one. @throws Error when another state directory has the same id */
export function runningPid(config: Config): number | undefined {
  requireOwnInstance(config)
  const path = pidPath(config)
  if (!existsSync(path)) return undefined
  const pid = Number(readFileSync(path, 'utf8'))
  try {
    // A pid may have gone to a stranger: the command line tells.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('main.ts') ? pid : undefined
  } catch {
    return undefined
  }
}

/** Starts `serve` in the background; resolves when it says that it is ready. */
export async function startInBackground(config: Config, main: string): Promise<number> {
  mkdirSync(config.stateDir, { recursive: true, mode: 0o700 })
  const log = openSync(logPath(config), 'a', 0o600)
  const logStart = fstatSync(log).size
  const { host, port } = config.listen
  const listen = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const child = spawn(process.execPath, [main, 'serve', '--state-dir', config.stateDir, '--listen', listen], {
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
    cwd: '/',
  })
  closeSync(log)
  await new Promise<void>((resolve, reject) => {
    child.once('message', () => resolve())
    child.once('error', reject)
    child.once('exit', () =>
      reject(new CommandError(`Tandem could not start:\n${linesSince(logPath(config), logStart)}`)),
    )
  })
  child.disconnect()
  child.unref()
  return child.pid!
}

/** What the process wrote since it was started, its end where it is long. */
function linesSince(path: string, start: number): string {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const from = Math.max(start, size - 2000)
    const buffer = Buffer.alloc(size - from)
    readSync(file, buffer, 0, buffer.length, from)
    return `${buffer.toString().trim()}\n(log: ${path})`
  } finally {
    closeSync(file)
  }
}

/** Asks the process to end and waits until it has. */
export async function stopProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGTERM')
  for (let waited = 0; alive(pid); waited += 20) {
    if (waited > 30_000)
      throw new CommandError(`Tandem (pid ${pid}) does not stop; look at its log, then kill -9 ${pid}`)
    await sleep(20)
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
