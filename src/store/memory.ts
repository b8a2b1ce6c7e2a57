// The store without a medium: for tests and `npm run dev`. Same semantics, gone with the process.

import { entryOf, type History, type LogRow } from './log.ts'
import { createMvcc } from './mvcc.ts'
import type { Entry, Store } from './store.ts'

export function createMemoryStore(): Store {
  let rows: LogRow[] = []

  /** Index of the first row with a revision greater than `revision`. */
  function after(revision: number): number {
    let low = 0
    let high = rows.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (rows[middle]!.revision <= revision) low = middle + 1
      else high = middle
    }
    return low
  }

  function byRevision(revision: number): LogRow | undefined {
    const row = rows[after(revision) - 1]
    return row?.revision === revision ? row : undefined
  }

  const history: History = {
    rows: (prefix, from, upTo) =>
      rows
        .slice(after(from), after(upTo))
        .filter((row) => row.key.startsWith(prefix))
        .map((row) => ({ row, before: byRevision(row.previous) })),
    listAt(prefix, revision, from, limit) {
      const state = new Map<string, Entry>()
      for (const row of rows.slice(0, after(revision))) {
        if (!row.key.startsWith(prefix)) continue
        if (row.deleted) state.delete(row.key)
        else state.set(row.key, entryOf(row))
      }
      const sorted = [...state.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
      return sorted.filter((entry) => from === undefined || entry.key > from).slice(0, limit)
    },
  }

  return createMvcc(
    {
      history,
      async commit(batch) {
        rows.push(...batch)
      },
      async compact(revision) {
        const superseded = new Set(rows.filter((row) => row.revision <= revision).map((row) => row.previous))
        rows = rows.filter((row) => row.revision > revision || !(row.deleted || superseded.has(row.revision)))
      },
      async close() {},
    },
    [],
    { revision: 1, compacted: 0 },
  )
}
