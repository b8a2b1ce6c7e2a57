// The durable store: rows in SQLite (WAL, fsync before the answer). One worker thread writes, so that an fsync never
// holds the event loop; a second connection here reads history, which only old watches and paged lists ask for.

import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { type History, type LogRow, prefixEnd } from './log.ts'
import { createMvcc } from './mvcc.ts'
import type { Store } from './store.ts'

export type WorkerRequest = { id: number } & (
  | { kind: 'commit'; rows: LogRow[] }
  | { kind: 'compact'; revision: number }
  | { kind: 'close' }
)
export type WorkerAnswer = { id: number; error?: string }

interface SqlRow {
  revision: number
  key: string
  created: number
  previous: number
  deleted: number
  value: string
}

const columns = 'revision, key, created, previous, deleted, value'
const rowOf = (row: SqlRow): LogRow => ({ ...row, deleted: row.deleted !== 0 })

export async function openSqliteStore(path: string): Promise<Store> {
  const worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), { workerData: { path } })
  const ask = createAsk(worker, path)
  await ask({ kind: 'commit', rows: [] })
  const database = new DatabaseSync(path, { readOnly: true })
  const live = database.prepare(
    `SELECT ${columns} FROM log WHERE deleted = 0 AND revision IN (SELECT MAX(revision) FROM log GROUP BY key)`,
  )
  const { newest } = database.prepare('SELECT MAX(revision) AS newest FROM log').get() as { newest: number | null }
  const { compacted } = database.prepare('SELECT revision AS compacted FROM compaction').get() as { compacted: number }

  return createMvcc(
    {
      history: sqliteHistory(database),
      commit: (rows) => ask({ kind: 'commit', rows }),
      compact: (revision) => ask({ kind: 'compact', revision }),
      async close() {
        database.close()
        await ask({ kind: 'close' })
        await worker.terminate()
      },
    },
    (live.all() as unknown as SqlRow[]).map(rowOf),
    { revision: Math.max(newest ?? 1, compacted), compacted },
  )
}

type Ask = (
  request: WorkerRequest extends infer R ? (R extends unknown ? Omit<R, 'id'> : never) : never,
) => Promise<void>

function createAsk(worker: Worker, path: string): Ask {
  const open = new Map<number, { resolve(): void; reject(error: Error): void }>()
  let next = 0
  const failAll = (error: Error) => {
    for (const waiting of open.values()) waiting.reject(error)
    open.clear()
  }
  worker.on('message', ({ id, error }: WorkerAnswer) => {
    const waiting = open.get(id)
    open.delete(id)
    if (error === undefined) waiting?.resolve()
    else waiting?.reject(new Error(explained(error, path)))
  })
  worker.on('error', (error) => failAll(error instanceof Error ? error : new Error(String(error))))
  worker.on('exit', () => failAll(new Error('the writer thread ended')))
  return (request) =>
    new Promise((resolve, reject) => {
      const id = next++
      open.set(id, { resolve, reject })
      worker.postMessage({ id, ...request })
    })
}

/** SQLite says what happened, not what to do about it. */
const explained = (error: string, path: string): string =>
  error === 'database or disk is full' ? `the disk with ${path} is full: make room there, then try again` : error

function sqliteHistory(database: DatabaseSync): History {
  const beforeColumns = columns.replace(/\w+/g, 'b.$& AS before_$&')
  const rowColumns = columns.replace(/\w+/g, 'l.$&')
  const rows = database.prepare(
    `SELECT ${rowColumns}, ${beforeColumns} FROM log l LEFT JOIN log b ON b.revision = l.previous
     WHERE l.revision > ? AND l.revision <= ? ORDER BY l.revision`,
  )
  const at = database.prepare(
    `SELECT ${columns} FROM log l WHERE key > ? AND key < ? AND deleted = 0 AND revision =
       (SELECT MAX(revision) FROM log WHERE key = l.key AND revision <= ?)
     ORDER BY key LIMIT ?`,
  )
  return {
    rows(prefix, after, upTo) {
      const found = rows.all(after, upTo) as unknown as (SqlRow & Record<`before_${string}`, unknown>)[]
      return found
        .filter((row) => row.key.startsWith(prefix))
        .map((row) => ({
          row: rowOf(pick(row, '')),
          before: row.before_revision === null ? undefined : rowOf(pick(row, 'before_')),
        }))
    },
    listAt(prefix, revision, after, limit) {
      const from = after !== undefined && after > prefix ? after : prefix
      const found = at.all(from, prefixEnd(prefix) ?? '\u{10ffff}', revision, Number.isFinite(limit) ? limit : -1)
      return (found as unknown as SqlRow[]).map(({ key, value, revision, created }) => ({
        key,
        value,
        revision,
        created,
      }))
    },
  }
}

const pick = (row: object, prefix: string): SqlRow =>
  Object.fromEntries(
    columns.split(', ').map((name) => [name, (row as Record<string, unknown>)[prefix + name]]),
  ) as unknown as SqlRow
