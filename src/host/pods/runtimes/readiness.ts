// Whether Pods can run with each runtime here, and if not, what to do. A look costs a few stats; runtimes that are known to
// refuse some kernels are tried once, when there is time or when a Pod wants them, and the result is remembered for as
// long as program and kernel stay the same.

import { existsSync, statSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { dirname } from 'node:path'
import type { Readiness } from '../../../kinds/node/runtime-readiness.ts'
import { gvisorWrapper, hostRuntimes, type KnownRuntime, knownRuntimes, programPath } from './discover.ts'
import { fetchedRunsc, fetchRunsc, findRunsc } from './gvisor.ts'
import { tryRuntime } from './try-runtime.ts'

export interface Verdict {
  ready: Readiness
  reason: string
}

export interface RuntimeReadiness {
  /** By handler; undefined for one that this node does not know. */
  look(handler: string): Verdict | undefined
  handlers(): string[]
  /** Tries what is here and was not tried yet. Resolves when all verdicts are known. */
  tryAll(): Promise<void>
  /** Before the first Pod: fetches and tries what is needed. @throws Error with what to do */
  prepare(handler: string): Promise<void>
  /** Called when somebody's verdict has changed. */
  onChange(listener: () => void): void
}

export interface ReadinessOptions {
  /** Keeps results over a restart. */
  file: string
  /** For bundles of tries. */
  directory: string
  cgroup: string
  /** Handlers of runtimes that bring their own verdict. */
  selfTold?: ReadonlyMap<string, () => Verdict>
}

/** With what a try is done, and what has to be there for it. */
interface Trial {
  program(): string
  /** Undefined: not there. @throws Error */
  find(): Promise<string | undefined>
  fetch?: () => Promise<string>
}

const trials: Record<string, Trial> = {
  runsc: { program: () => gvisorWrapper, find: findRunsc, fetch: fetchRunsc },
  crun: { program: () => 'crun', find: async () => programPath('crun') },
}

const onDemand = 'gVisor is fetched from Debian (7 MB) with the first Pod that wants it'

type Results = Record<string, { key: string; problem?: string }>

export function createReadiness(options: ReadinessOptions): RuntimeReadiness {
  const known = knownRuntimes()
  const hosts = hostRuntimes()
  let results: Promise<Results> | undefined
  const tried = new Map<string, { key: string; problem?: string }>()
  const underWay = new Map<string, Promise<void>>()
  let fetchProblem = ''
  let changed = () => {}

  const remembered = (): Promise<Results> => {
    results ??= readFile(options.file, 'utf8').then(
      (text) => JSON.parse(text) as Results,
      () => ({}),
    )
    return results
  }

  async function remember(handler: string, key: string, problem: string | undefined): Promise<void> {
    tried.set(handler, { key, ...(problem !== undefined && { problem }) })
    const all = { ...(await remembered()), [handler]: tried.get(handler)! }
    results = Promise.resolve(all)
    await mkdir(dirname(options.file), { recursive: true })
    await writeFile(options.file, `${JSON.stringify(all)}\n`)
  }

  /** One at a time for each handler; several Pods may want it at once. */
  function tryOne(handler: string, mayFetch: boolean): Promise<void> {
    const before = underWay.get(handler) ?? Promise.resolve()
    const work = before.then(() => tryNow(handler, trials[handler]!, mayFetch))
    const settled = work.catch(() => {})
    underWay.set(handler, settled)
    return work
  }

  async function tryNow(handler: string, trial: Trial, mayFetch: boolean): Promise<void> {
    const path = (await trial.find()) ?? (mayFetch ? await fetched(trial) : undefined)
    if (!path) return
    const key = keyOf(path)
    if (tried.get(handler)?.key === key) return
    const earlier = (await remembered())[handler]
    if (earlier?.key === key) tried.set(handler, earlier)
    else await remember(handler, key, await tryRuntime(trial.program(), options.directory, options.cgroup))
    changed()
  }

  async function fetched(trial: Trial): Promise<string | undefined> {
    try {
      const path = await trial.fetch?.()
      fetchProblem = ''
      return path
    } catch (error) {
      fetchProblem = (error as Error).message
      changed()
      throw error
    }
  }

  function look(handler: string): Verdict | undefined {
    const own = options.selfTold?.get(handler)
    if (own) return own()
    const runtime = known[handler]
    if (!runtime) return hosts[handler] && { ready: 'True', reason: 'set up in /etc/containerd/config.toml' }
    const result = tried.get(handler)
    if (result?.problem !== undefined) return { ready: 'False', reason: `it does not work here: ${result.problem}` }
    if (result) return { ready: 'True', reason: 'tried' }
    if (handler === 'runsc') return lookForRunsc()
    return quickLook(runtime)
  }

  /** One that is fetched need not be in PATH. */
  const lookForRunsc = (): Verdict =>
    existsSync(fetchedRunsc)
      ? { ready: 'True', reason: `runs ${fetchedRunsc}` }
      : { ready: 'OnDemand', reason: fetchProblem || onDemand }

  return {
    look,
    handlers: () => [...new Set([...Object.keys(known), ...Object.keys(hosts), ...(options.selfTold?.keys() ?? [])])],
    onChange(listener) {
      changed = listener
    },
    async tryAll() {
      for (const handler of Object.keys(trials)) await tryOne(handler, false).catch(() => {})
    },
    async prepare(handler) {
      if (!trials[handler] || options.selfTold?.has(handler)) return
      if (!tried.has(handler)) await tryOne(handler, true)
      const verdict = look(handler)
      if (verdict?.ready === 'False') throw new Error(`the runtime ${handler} is not ready: ${verdict.reason}`)
    },
  }
}

/** What is there, without running it. */
export function quickLook({ programs, remedy, needsKvm, configuration }: KnownRuntime): Verdict {
  const path = programs.map(programPath).find(Boolean)
  if (!path) return { ready: 'False', reason: `${programs.join(' or ')} is missing: ${remedy}` }
  if (configuration && !existsSync(configuration))
    return { ready: 'False', reason: `its settings ${configuration} are missing: ${remedy}` }
  if (needsKvm && !existsSync('/dev/kvm'))
    return { ready: 'False', reason: 'it needs hardware virtualization, and this machine has no /dev/kvm' }
  return { ready: 'True', reason: `runs ${path}` }
}

function keyOf(path: string): string {
  const { mtimeMs, size } = statSync(path)
  return `${path} ${size} ${Math.floor(mtimeMs)} ${release()}`
}
