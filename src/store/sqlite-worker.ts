// The one writer of the SQLite store, in a thread of its own. Each request is one transaction, synced before the answer.

import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'
import type { LogRow } from './log.ts'
import type { WorkerAnswer, WorkerRequest } from './sqlite.ts'

const database = new DatabaseSync((workerData as { path: string }).path)
database.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  PRAGMA wal_autocheckpoint = 0;
  PRAGMA busy_timeout = 5000;
  CREATE TABLE IF NOT EXISTS log (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    created INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    value TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS log_key ON log (key, revision);
  CREATE TABLE IF NOT EXISTS compaction (revision INTEGER NOT NULL);
  INSERT INTO compaction SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM compaction);
`)
const insert = database.prepare(
  'INSERT INTO log (revision, key, created, previous, deleted, value) VALUES (?, ?, ?, ?, ?, ?)',
)

/** Rows written since the last checkpoint. The WAL is folded back when nothing else is to do, or when it grows long. */
let unfolded = 0
const foldAt = 20_000
const foldAfterMs = 500
const foldAgainMs = 10_000
let foldTimer: NodeJS.Timeout | undefined

/** Never throws: what is committed is safe in the WAL. On a full disk it waits there until there is room to fold. */
function checkpoint(): void {
  clearTimeout(foldTimer)
  foldTimer = undefined
  unfolded = 0
  try {
    database.exec('PRAGMA wal_checkpoint(PASSIVE)')
  } catch {
    foldTimer = setTimeout(checkpoint, foldAgainMs)
  }
}

function transaction(body: () => void): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    body()
    database.exec('COMMIT')
  } catch (error) {
    // A full disk may have rolled back already.
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function commit(rows: LogRow[]): void {
  if (rows.length === 0) return
  transaction(() => {
    for (const row of rows) {
      insert.run(row.revision, row.key, row.created, row.previous, row.deleted ? 1 : 0, row.value)
    }
  })
  unfolded += rows.length
  if (unfolded >= foldAt) checkpoint()
  else foldTimer ??= setTimeout(checkpoint, foldAfterMs)
}

function compact(revision: number): void {
  transaction(() => {
    database
      .prepare(
        `DELETE FROM log WHERE (deleted = 1 AND revision <= ?1)
         OR revision IN (SELECT previous FROM log WHERE revision <= ?1 AND previous > 0)`,
      )
      .run(revision)
    database.prepare('UPDATE compaction SET revision = ?').run(revision)
  })
  checkpoint()
}

parentPort!.on('message', (request: WorkerRequest) => {
  const answer: WorkerAnswer = { id: request.id }
  try {
    if (request.kind === 'commit') commit(request.rows)
    else if (request.kind === 'compact') compact(request.revision)
    else {
      checkpoint()
      database.close()
    }
  } catch (error) {
    answer.error = error instanceof Error ? error.message : String(error)
  }
  parentPort!.postMessage(answer)
})
