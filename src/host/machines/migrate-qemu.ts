// One guest from one QEMU to another, by what QMP says (QEMU 7.2, qapi/migration.json). Nothing here decides which of the
// two goes on: that is in migrate.ts.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { migrationSocket } from './migrate-names.ts'
import type { Qmp, QmpEvent } from './qmp.ts'

export interface TransferSettings {
  /** Bytes a second; 0: as fast as it goes. */
  bandwidth: number
  /** The guest is slowed down when it writes its memory faster than it can be moved. */
  autoConverge: boolean
  /** How long the last round may take, by QEMU's own estimate. */
  downtimeMs: number
  /** After that long it is given up, or the guest is paused when that is allowed. */
  completionTimeoutMs: number
  /** After that long without a byte it is given up. */
  progressTimeoutMs: number
  mayPause: boolean
}

const noLimit = 2 ** 50
const pollMs = 100
/** QEMU gives a migration up within that time, or something is wrong. */
const lastWordMs = 10_000

const capabilities = (qmp: Qmp, wanted: Record<string, boolean>): Promise<unknown> =>
  qmp.execute('migrate-set-capabilities', {
    capabilities: Object.entries(wanted).map(([capability, state]) => ({ capability, state })),
  })

export interface MigrationStatus {
  status?: string
  'error-desc'?: string
  ram?: { transferred: number; remaining: number }
}

export const migrationStatus = (qmp: Qmp): Promise<MigrationStatus> => qmp.execute<MigrationStatus>('query-migrate')

/** The target listens afterwards. A guest that stays paused takes its disks at once, there is no `cont` to do it. */
export async function openTarget(target: Qmp, staysPaused: boolean): Promise<void> {
  await capabilities(target, { events: true, 'late-block-activate': !staysPaused })
  await target.execute('migrate-incoming', { uri: `unix:${migrationSocket}` })
}

/** With return-path the source has not completed before the target has understood everything. */
export async function beginTransfer(source: Qmp, settings: TransferSettings): Promise<void> {
  await capabilities(source, { events: true, 'return-path': true, 'auto-converge': settings.autoConverge })
  await source.execute('migrate-set-parameters', {
    'max-bandwidth': settings.bandwidth || noLimit,
    'downtime-limit': settings.downtimeMs,
  })
  await source.execute('migrate', { uri: `unix:${migrationSocket}` })
}

/** So that memory can be written to a file, whose other end says nothing back. */
export const forgetCapabilities = (qmp: Qmp): Promise<unknown> =>
  capabilities(qmp, { 'return-path': false, 'auto-converge': false, 'late-block-activate': false })

export type Transferred = { pausedByUs: boolean }

/** The statuses of a QEMU's migration, as events of that name. */
export function hearStatus(says: EventTarget, event: QmpEvent): void {
  const name = event.event === 'MIGRATION' ? String(event.data?.status) : event.event
  says.dispatchEvent(Object.assign(new Event(name), { from: event }))
}

/**
 * Waits until both sides have completed; `says` has the events of each.
 * @throws Error why it cannot; the source may still be sending then
 */
export async function transferred(
  source: Qmp,
  says: { source: EventTarget; target: EventTarget },
  settings: TransferSettings,
  signal: AbortSignal,
): Promise<Transferred> {
  const began = Date.now()
  let [best, bestAt, pausedByUs] = [Number.POSITIVE_INFINITY, began, false]
  const ended = new AbortController()
  // The guest stands still by now: nothing is asked that is told anyway.
  const arrived = Promise.all(
    [says.source, says.target].map((side) => once(side, 'completed', { signal: ended.signal })),
  ).then(
    () => true,
    () => false,
  )
  try {
    for (;;) {
      signal.throwIfAborted()
      if (await Promise.race([arrived, sleep(pollMs, false)])) break
      const { status, ram, ...problem } = await migrationStatus(source)
      if (status === 'failed' || status === 'cancelled') throw new Error(problem['error-desc'] ?? `QEMU: ${status}`)
      const now = Date.now()
      if (ram && ram.remaining < best) [best, bestAt] = [ram.remaining, now]
      if (now - bestAt > settings.progressTimeoutMs)
        throw new Error(`Live migration stuck for ${Math.round((now - bestAt) / 1000)} seconds and has been aborted`)
      if (now - began <= settings.completionTimeoutMs || pausedByUs) continue
      if (!settings.mayPause) {
        const seconds = Math.round((now - began) / 1000)
        throw new Error(`Live migration is not completed after ${seconds} seconds and has been aborted`)
      }
      await source.execute('stop')
      pausedByUs = true
    }
    signal.throwIfAborted()
    return { pausedByUs }
  } finally {
    ended.abort()
  }
}

/** Afterwards the source sends no more. It runs on by itself, except where it had completed. */
export async function endTransfer(source: Qmp): Promise<void> {
  for (const deadline = Date.now() + lastWordMs; Date.now() < deadline; await sleep(5)) {
    const { status } = await migrationStatus(source)
    if (status === undefined || ['none', 'completed', 'failed', 'cancelled'].includes(status)) return
    if (status !== 'cancelling') await source.execute('migrate_cancel')
  }
  throw new Error('QEMU does not give up the migration')
}

export const eventMs = ({ timestamp }: QmpEvent): number =>
  timestamp ? timestamp.seconds * 1000 + timestamp.microseconds / 1000 : Date.now()
