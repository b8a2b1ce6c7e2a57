// One row of the history, as every driver keeps it, and what is read back from rows.

import type { Entry, StoreEvent } from './store.ts'

export interface LogRow {
  revision: number
  key: string
  /** Revision that created the key; the same for all rows of one life of the key. */
  created: number
  /** Revision of the row before, of the same key and life; 0 for a create. */
  previous: number
  deleted: boolean
  /** What was written; of a delete, the last value. */
  value: string
}

/** The history that a driver keeps on its medium. Rows are handed in once durable. */
export interface History {
  /** Rows of keys under `prefix` with after < revision <= upTo, in order, with the row before each. */
  rows(prefix: string, after: number, upTo: number): { row: LogRow; before: LogRow | undefined }[]
  /** Live entries under `prefix` as of `revision`, in key order. */
  listAt(prefix: string, revision: number, after: string | undefined, limit: number): Entry[]
}

export const entryOf = (row: LogRow): Entry => ({
  key: row.key,
  value: row.value,
  revision: row.revision,
  created: row.created,
})

export function eventOf(row: LogRow, before: Entry | undefined): StoreEvent {
  const event: StoreEvent = {
    type: row.deleted ? 'delete' : 'put',
    key: row.key,
    revision: row.revision,
    value: row.value,
  }
  if (before) event.previous = before
  return event
}

/** The first string after all that start with `prefix`; undefined when there is none. */
export function prefixEnd(prefix: string): string | undefined {
  if (prefix === '') return undefined
  const last = prefix.length - 1
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1)
}
