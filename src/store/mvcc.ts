// The heart of every store: revisions, compare-and-swap, the newest state in memory, the order of commits and events.
// A driver adds the medium: `commit` makes rows durable, `history` reads them back.
//
// A write gets its revision at once, checked against what is on its way to the medium (`pending`), and becomes visible,
// to readers and watches, when the medium has it. Rows that arrive while a commit runs go together in the next one.

import { createBroadcast } from './broadcast.ts'
import { entryOf, eventOf, type History, type LogRow } from './log.ts'
import { createSortedKeys } from './sorted-keys.ts'
import { Compacted, type Entry, RevisionMismatch, type Store, StoreUnavailable, type Write } from './store.ts'

export interface Medium {
  history: History
  /** Durable when it resolves; when it rejects, none of the rows is. */
  commit(rows: LogRow[]): Promise<void>
  compact(revision: number): Promise<void>
  close(): Promise<void>
}

interface Waiting {
  row: LogRow
  resolve(entry: Entry): void
  reject(error: Error): void
}

/** Rows in one commit; more only makes the others wait longer. */
const commitLimit = 1000

/** `live` are the newest rows of all live keys, `revision` the newest on the medium. */
export function createMvcc(
  medium: Medium,
  live: Iterable<LogRow>,
  start: { revision: number; compacted: number },
): Store {
  const entries = new Map<string, Entry>()
  const keys = createSortedKeys()
  const broadcast = createBroadcast()
  /** The newest row on its way, by key. */
  const pending = new Map<string, LogRow>()
  let queue: Waiting[] = []
  let committing: Promise<void> | undefined
  let assigned = start.revision
  let durable = start.revision
  let compacted = start.compacted
  let closed = false

  for (const row of live) {
    entries.set(row.key, entryOf(row))
    keys.add(row.key)
  }

  function apply(rows: LogRow[]): void {
    const events = rows.map((row) => {
      const before = entries.get(row.key)
      if (row.deleted) {
        entries.delete(row.key)
        keys.remove(row.key)
      } else {
        entries.set(row.key, entryOf(row))
        if (!before) keys.add(row.key)
      }
      if (pending.get(row.key) === row) pending.delete(row.key)
      return eventOf(row, before)
    })
    durable = rows.at(-1)!.revision
    broadcast.send(events)
  }

  /** What is still waiting was checked against rows that never came to be: all of it fails with them. */
  function refuse(batch: Waiting[], cause: unknown): void {
    const failed = [...batch, ...queue]
    queue = []
    pending.clear()
    const message = cause instanceof Error ? cause.message : String(cause)
    for (const waiting of failed) waiting.reject(new StoreUnavailable(`the store cannot write: ${message}`, { cause }))
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      const batch = queue.splice(0, commitLimit)
      const rows = batch.map((waiting) => waiting.row)
      try {
        await medium.commit(rows)
      } catch (error) {
        refuse(batch, error)
        continue
      }
      apply(rows)
      for (const waiting of batch) waiting.resolve(entryOf(waiting.row))
    }
    committing = undefined
  }

  async function mismatch(key: string): Promise<never> {
    // The answer must speak of durable state: a writer that tries again at once would meet the same pending row.
    while (pending.has(key)) await committing
    throw new RevisionMismatch(key, entries.get(key)?.revision ?? 0)
  }

  function write({ key, expected, value, last }: Write): Promise<Entry> {
    if (closed) return Promise.reject(new StoreUnavailable('the store is closed'))
    const onItsWay = pending.get(key)
    const head = onItsWay ? (onItsWay.deleted ? undefined : onItsWay) : entries.get(key)
    if (expected !== undefined && expected !== (head?.revision ?? 0)) return mismatch(key)
    if (value === null && !head) return mismatch(key)
    const revision = assigned + 1
    const row: LogRow = {
      revision,
      key,
      created: head?.created ?? revision,
      previous: head?.revision ?? 0,
      deleted: value === null,
      value: value ? value(revision) : last ? last(revision) : head!.value,
    }
    assigned = revision
    pending.set(key, row)
    return new Promise((resolve, reject) => {
      queue.push({ row, resolve, reject })
      // Not at once: all writes of this turn of the event loop go in one commit.
      committing ??= Promise.resolve().then(drain)
    })
  }

  return {
    revision: () => durable,
    compacted: () => compacted,
    get: (key) => entries.get(key),
    list: (prefix, { after, limit = Number.POSITIVE_INFINITY } = {}) =>
      keys.range(prefix, after, limit).map((key) => entries.get(key)!),
    count: (prefix) => keys.count(prefix),
    async listAt(prefix, revision, { after, limit = Number.POSITIVE_INFINITY } = {}) {
      if (revision < compacted) throw new Compacted(compacted)
      return medium.history.listAt(prefix, revision, after, limit)
    },
    write,
    watch(prefix, after, listener) {
      if (after < compacted) throw new Compacted(compacted)
      const watch = broadcast.add(prefix, listener)
      const missed = after < durable ? medium.history.rows(prefix, after, durable) : []
      if (missed.length > 0) listener(missed.map(({ row, before }) => eventOf(row, before && entryOf(before))))
      return watch
    },
    async compact(revision) {
      if (revision <= compacted || revision > durable) return
      compacted = revision
      await medium.compact(revision)
    },
    async close() {
      closed = true
      await committing
      await medium.close()
    },
  }
}
