// Old programs with known holes, told by the node: it is NotReady while one could let a workload out, and the condition
// KnownVulnerabilities names what has no fixed package yet. Programs are asked anew when they change.

import { statSync } from 'node:fs'
import type { Clock } from '../../base/clock.ts'
import type { Logger } from '../../base/log.ts'
import { run } from '../exec.ts'
import type { NodeCondition } from '../node.ts'
import { programPath } from '../pods/runtimes/discover.ts'
import { type Finding, findingsOf, versionIn } from './judge.ts'
import { type GuardedProgram, guardedPrograms } from './table.ts'

const lookEveryMs = 10_000

export interface AdvisoriesOptions {
  clock: Clock
  log: Logger
  changed: () => void
  programs?: GuardedProgram[]
}

export interface Advisories {
  /** Resolves when every program was asked once. */
  start(): Promise<void>
  stop(): void
  conditions(): NodeCondition[]
}

export function createAdvisories({ clock, log, changed, programs = guardedPrograms }: AdvisoriesOptions): Advisories {
  const found = new Map<string, { key: string; findings: Finding[] }>()
  const stopped = new AbortController()

  /** True: something else is known now. */
  async function look(guarded: GuardedProgram): Promise<boolean> {
    const path = programPath(guarded.program)
    const key = path ? keyOf(path) : ''
    if (found.get(guarded.program)?.key === key) return false
    const findings = path ? await ask(path, guarded) : []
    found.set(guarded.program, { key, findings })
    for (const { message } of findings) log.warn(message)
    return true
  }

  async function ask(path: string, guarded: GuardedProgram): Promise<Finding[]> {
    const { stdout } = await run([path, '--version'], { allowFailure: true, timeoutMs: 10_000 })
    const version = versionIn(stdout)
    if (!version) log.warn(`${path} --version names no version: whether it has known holes cannot be told`)
    return version ? findingsOf(guarded, version) : []
  }

  async function lookAtAll(): Promise<boolean> {
    const news = await Promise.all(
      programs.map((guarded) =>
        look(guarded).catch((error) => {
          log.warn(`cannot ask ${guarded.program} for its version`, { error })
          return false
        }),
      ),
    )
    return news.includes(true)
  }

  async function keepLooking(): Promise<void> {
    while (!stopped.signal.aborted) {
      await clock.sleep(lookEveryMs, stopped.signal)
      if (!stopped.signal.aborted && (await lookAtAll())) changed()
    }
  }

  return {
    async start() {
      await lookAtAll()
      void keepLooking().catch((error) => !stopped.signal.aborted && log.error('looks at no versions', { error }))
    },
    stop: () => stopped.abort(),
    conditions: () => conditionsOf([...found.values()].flatMap(({ findings }) => findings)),
  }
}

/** Pure. */
export function conditionsOf(findings: Finding[]): NodeCondition[] {
  const message = findings.map((finding) => finding.message).join('; ')
  const refused = findings.filter(({ hole }) => hole.refused)
  return [
    findings.length
      ? { type: 'KnownVulnerabilities', status: 'True', reason: 'OutdatedRuntime', message }
      : {
          type: 'KnownVulnerabilities',
          status: 'False',
          reason: 'NoneKnown',
          message: 'the programs that hold workloads apart have no hole that Tandem knows of',
        },
    ...(refused.length
      ? [
          {
            type: 'Ready',
            status: 'False' as const,
            reason: 'OutdatedRuntime',
            message: refused.map((finding) => finding.message).join('; '),
          },
        ]
      : []),
  ]
}

function keyOf(path: string): string {
  const { mtimeMs, size } = statSync(path)
  return `${path} ${size} ${Math.floor(mtimeMs)}`
}
