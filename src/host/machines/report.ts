// What a machine's object is told of it, and when the machine is looked at again.

import type { StoredObject } from '../../api/meta.ts'
import type { SyncResult } from '../workload.ts'
import { adjustIn } from './adjusting.ts'
import { credentialsIn } from './credentials.ts'
import { isFrozen, thawWhenDue } from './freeze.ts'
import type { LifecycleOptions } from './lifecycle.ts'
import { type Machine, pausedBy, readAgent } from './machine.ts'
import { type Observed, type Phase, statusOf } from './status.ts'

/** How often the guest agent is asked what changed inside. */
const agentPollMs = 30_000

export function createReport(options: Pick<LifecycleOptions, 'observer' | 'log' | 'now' | 'nodeName'>) {
  const { observer, log, now } = options

  function report(object: StoredObject, machine: Machine): SyncResult {
    const status = statusOf(object, observe(machine), options.nodeName, now())
    const same = JSON.stringify(sorted(status)) === JSON.stringify(sorted(object.status ?? {}))
    const next = [nextLook(machine), adjustIn(machine, now()), credentialsIn(machine, now())]
    return { ...(!same && { status }), requeueAfter: next.reduce(sooner) }
  }

  function observe(machine: Machine): Observed {
    const { started, result } = machine.record
    const { problem, guest: agent } = machine
    const unready = machine.probed?.ready === false ? notReadyYet : undefined
    return {
      phase: phaseOf(machine),
      problem,
      started,
      dump: machine.dump,
      paused: pausedBy(machine),
      agent,
      credentials: machine.credentials?.told,
      unready,
      result,
      frozen: isFrozen(machine),
      migration: machine.migration,
      plugProblems: machine.plugProblems,
      cardProblems: machine.cardProblems,
      resizeProblems: machine.resizeProblems,
    }
  }

  function nextLook(machine: Machine): number | undefined {
    if (machine.record.result || machine.starting) return undefined
    if (!machine.record.process) return Math.max(100, machine.retryAt - now())
    if (!machine.agentOpen) return undefined
    // A frozen guest answers to nothing but the thaw.
    if (isFrozen(machine)) return thawWhenDue(machine, observer, now())
    const due = machine.agentReadAt + agentPollMs - now()
    if (due > 0) return due
    readAgent(machine, observer).catch((error) => log.debug('guest agent does not answer', { error }))
    return agentPollMs
  }

  return report
}

const notReadyYet = { reason: 'ReadinessProbeFailed', message: 'The readiness probe has not succeeded' }

function phaseOf(machine: Machine): Phase {
  const { record, starting, problem } = machine
  if (record.result) return record.result.phase
  if (record.process && !starting) return 'Running'
  if (starting) return starting.phase
  return problem && /Image|Unschedulable/.test(problem.reason) ? 'Scheduling' : 'Pending'
}

const sooner = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)

/** Keys in order, so that two statuses can be compared as text. */
function sorted(value: any): any {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  )
}
