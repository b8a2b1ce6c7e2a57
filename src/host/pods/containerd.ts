// Tandem's own containerd: one detached process with its own state and socket. It outlives Tandem, and Tandem takes it
// over again; containers outlive both (their shims hold them).

import { spawn } from 'node:child_process'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StatePaths } from '../state.ts'
import { removeCgroups } from './cgroups.ts'
import { containerdConfig, type LayerFilter, type RuntimeHandler } from './containerd-config.ts'
import { type Cri, createCri } from './cri/client.ts'
import { directoriesIn } from './directories.ts'
import { removeSandbox } from './remove.ts'
import { endShims } from './strays.ts'
import { unmountBelow } from './unmount.ts'

export interface ContainerdOptions {
  paths: StatePaths
  /** "tandem.dev/pause:3.10": must be loaded before the first Pod. */
  sandboxImage: string
  /** "/tandem-<instance>": its groups go with `destroy`. */
  cgroupParent?: string
  program?: string
  cniBinDir?: string
  runtimes?: Record<string, RuntimeHandler>
  /** Of a runtime that keeps more of its containers than containerd knows. */
  beside?: Beside
}

/** What a runtime keeps beside containerd. */
export interface Beside {
  /** Removes what, now and at the last call, belonged to no container. */
  removeStrays(known: ReadonlySet<string>): Promise<void>
  removeAll(): Promise<void>
}

export interface Containerd {
  readonly cri: Cri
  readonly socket: string
  /** Its `root` and its `state`. */
  readonly directories: string[]
  /** Starts it, or takes over the one that runs. @throws Error with the last lines of its log */
  start(): Promise<void>
  /** '1.6.20', once it has answered. */
  version(): string
  /** True when it answers. */
  healthy(): Promise<boolean>
  /** Lets go; the process and all containers stay. */
  release(): void
  /** Ends the process; containers stay. */
  stop(): Promise<void>
  /** Ends the process when `start` has begun it; one that had been running before goes on. */
  withdraw(): Promise<void>
  /** Ends every container and sandbox, then the process, then removes its run directory. Images stay. */
  destroy(): Promise<void>
  /** What runtimes keep of containers that containerd does not know. */
  removeStrays(known: ReadonlySet<string>): Promise<void>
}

const startTimeoutMs = 30_000

export function createContainerd(options: ContainerdOptions): Containerd {
  const { paths } = options
  const at = paths.containerd
  const cri = createCri(at.socket)
  const program = options.program ?? 'containerd'
  let version = ''
  /** Stopped or let go on purpose: whoever still follows events must not start it again. */
  let over = false
  let begunHere = false
  let starting: Promise<void> | undefined

  const config = containerdConfig({
    root: at.root,
    state: at.run,
    socket: at.socket,
    sandboxImage: options.sandboxImage,
    cni: { confDir: paths.cni.conf, binDir: options.cniBinDir ?? '/usr/lib/cni' },
    registryDirs: [join(paths.root, 'registries'), '/etc/containerd/certs.d', '/etc/docker/certs.d'],
    runtimes: options.runtimes ?? { runc: { type: 'io.containerd.runc.v2' } },
    layerFilter: layerFilter(paths.root),
  })

  /** The containerd that runs with our configuration file; also one whose pid was not written down before a crash. */
  async function runningPid(): Promise<number | undefined> {
    const written = Number(await readFile(at.pid, 'utf8').catch(() => ''))
    if (written > 0 && (await isOurs(written, at.config))) return written
    for (const name of await directoriesIn('/proc'))
      if (/^\d+$/.test(name) && (await isOurs(Number(name), at.config))) return Number(name)
    return undefined
  }

  async function healthy(): Promise<boolean> {
    try {
      const { runtimeVersion } = await cri.version({}, { deadlineMs: 2000 })
      version = runtimeVersion
      return true
    } catch {
      return false
    }
  }

  async function launch(): Promise<number> {
    const log = openSync(at.log, 'a', 0o640)
    try {
      const child = spawn(program, ['--config', at.config], { detached: true, stdio: ['ignore', log, log], cwd: '/' })
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', (error: NodeJS.ErrnoException) =>
          reject(
            error.code === 'ENOENT' ? new Error(`${program} is not installed: apt-get install containerd`) : error,
          ),
        )
      })
      child.unref()
      await writeFile(at.pid, `${child.pid}\n`)
      return child.pid!
    } finally {
      closeSync(log)
    }
  }

  async function waitUntilReady(pid: number): Promise<void> {
    const end = Date.now() + startTimeoutMs
    while (Date.now() < end) {
      if ((await accepts(at.socket)) && (await healthy())) return
      if (!(await isOurs(pid, at.config))) throw new Error(`containerd ended at once: ${await lastLines(at.log)}`)
      await sleep(15)
    }
    throw new Error(`containerd did not answer within ${startTimeoutMs / 1000} s: ${await lastLines(at.log)}`)
  }

  async function stop(): Promise<void> {
    const pid = await runningPid()
    if (pid) await endProcess(pid, at.config)
    await rm(at.pid, { force: true })
  }

  /** Several may ask at once, for example after a crash; one process comes of it. */
  function start(): Promise<void> {
    if (over) return Promise.reject(new Error('containerd was stopped on purpose'))
    starting ??= bringUp().finally(() => {
      starting = undefined
    })
    return starting
  }

  async function bringUp(): Promise<void> {
    const unchanged = (await readFile(at.config, 'utf8').catch(() => '')) === config
    const pid = await runningPid()
    if (pid && unchanged) {
      await writeFile(at.pid, `${pid}\n`)
      await waitUntilReady(pid)
      return
    }
    // Other settings: containers do not notice that containerd starts anew.
    if (pid) await stop()
    for (const dir of [at.root, at.run, dirname(at.socket), dirname(at.config), paths.cni.conf])
      await mkdir(dir, { recursive: true, mode: 0o711 })
    await writeFile(at.config, config, { mode: 0o600 })
    await rm(at.socket, { force: true })
    begunHere = !pid
    await waitUntilReady(await launch())
  }

  async function withdraw(): Promise<void> {
    release()
    await starting?.catch(() => {})
    if (begunHere) await stop()
  }

  async function destroy(): Promise<void> {
    release()
    await starting?.catch(() => {})
    // Also called after `release`: with a connection of its own.
    const fresh = createContainerd(options)
    const left: Error[] = []
    try {
      if (existsSync(at.run)) await fresh.start().catch(() => {})
      if (await fresh.healthy()) left.push(...(await removeSandboxes(fresh.cri)))
    } finally {
      fresh.release()
    }
    await stop()
    await endShims(at.socket)
    await options.beside?.removeAll()
    await unmountBelow([at.run, at.root, paths.pods, paths.microvm])
    for (const folder of [at.run, paths.microvm]) await rm(folder, { recursive: true, force: true })
    if (options.cgroupParent) await removeCgroups(options.cgroupParent)
    for (const file of [at.socket, `${at.socket}.ttrpc`]) await rm(file, { force: true })
    if (left[0]) throw new Error(`containerd could not remove ${left.length} Pods: ${left[0].message}`)
  }

  function release(): void {
    over = true
    cri.close()
  }

  return {
    cri,
    socket: at.socket,
    directories: [at.root, at.run],
    start,
    healthy,
    version: () => version,
    release,
    removeStrays: async (known) => options.beside?.removeStrays(known),
    stop: () => {
      over = true
      return stop()
    },
    withdraw,
    destroy,
  }
}

const home = resolve(import.meta.dirname, '../../..')

/** The same for every command of this installation, or containerd would be started anew for each. */
const layerFilter = (root: string): LayerFilter => ({
  path: process.execPath,
  args: [resolve(import.meta.dirname, '../images/layer-filter.ts'), root],
  env: [
    'NODE_OPTIONS=--disable-warning=ExperimentalWarning',
    `NODE_COMPILE_CACHE=${join(home, 'node_modules/.cache/node')}`,
  ],
})

/** Guards against a pid that was given to somebody else since. */
async function isOurs(pid: number, configPath: string): Promise<boolean> {
  const cmdline = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  const argv = cmdline.split('\0')
  return argv[1] === '--config' && argv[2] === configPath
}

async function endProcess(pid: number, configPath: string): Promise<void> {
  for (const [signal, patience] of [
    ['SIGTERM', 10_000],
    ['SIGKILL', 5000],
  ] as const) {
    if (!(await isOurs(pid, configPath))) return
    process.kill(pid, signal)
    for (const end = Date.now() + patience; Date.now() < end && (await isOurs(pid, configPath)); ) await sleep(20)
  }
}

const accepts = (socket: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = connect(socket)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })

async function lastLines(log: string): Promise<string> {
  const text = await readFile(log, 'utf8').catch(() => '')
  return text.trim().split('\n').slice(-3).join('\n')
}

/** As many as hundreds at once would keep each other waiting until all are too late. */
const endedAtOnce = 8

/** Every sandbox on the socket: it is ours alone. One that cannot be removed keeps no other one from it. */
async function removeSandboxes(cri: Cri): Promise<Error[]> {
  const failures: Error[] = []
  const { items } = await cri.listPodSandbox({})
  const waiting = items.map(({ id }) => id)
  const turn = async () => {
    for (let id = waiting.pop(); id; id = waiting.pop())
      await removeSandbox(cri, id).catch((error) => failures.push(error as Error))
  }
  await Promise.all(Array.from({ length: endedAtOnce }, turn))
  return failures
}
