// The guest's file systems held still for a snapshot, through its agent, and released again: when asked, or when the time
// that was given is over. That time is written down, so that a guest does not stay frozen because Tandem ended.

import { agentOf, type Machine, type Observer } from './machine.ts'
import { writeRecord } from './record.ts'

/** Every file system is flushed first. */
const freezeTimeoutMs = 60_000
/** When the guest was to be thawed and did not answer. */
const retryMs = 1_000

export const isFrozen = ({ record }: Machine): boolean => record.frozen !== undefined

function note(machine: Machine, frozen: { until?: number } | undefined): void {
  const { frozen: _, ...record } = machine.record
  machine.record = { ...record, ...(frozen && { frozen }) }
  writeRecord(machine.directory, machine.record)
}

/** `forMs` 0: until it is asked to thaw. @throws Error when the agent does not do it */
export async function freeze(machine: Machine, observer: Observer, forMs: number, now: number): Promise<void> {
  const agent = await agentOf(machine)
  note(machine, forMs > 0 ? { until: now + forMs } : {})
  try {
    const count = await agent.execute<number>('guest-fsfreeze-freeze', undefined, freezeTimeoutMs)
    if (!(count > 0)) throw new Error('the guest has no file system that can be frozen')
  } catch (error) {
    // It may have frozen some of them, or all and answered too late.
    await thaw(machine, observer).catch(() => {})
    throw error
  }
  observer.changed(machine.record.uid)
}

/** @throws Error when the agent does not do it: it stays written down as frozen then */
export async function thaw(machine: Machine, observer: Observer): Promise<void> {
  const agent = await agentOf(machine)
  await agent.execute('guest-fsfreeze-thaw', undefined, freezeTimeoutMs)
  note(machine, undefined)
  observer.changed(machine.record.uid)
}

/** For each look at a machine: thaws it when its time is over. Returns when to look again, in ms. */
export function thawWhenDue(machine: Machine, observer: Observer, now: number): number | undefined {
  const { until } = machine.record.frozen ?? {}
  if (until === undefined) return undefined
  if (until > now) return until - now
  thaw(machine, observer).catch((error) =>
    observer.log.warn('cannot thaw the file systems of a guest', { machine: machine.record.name, error }),
  )
  return retryMs
}
