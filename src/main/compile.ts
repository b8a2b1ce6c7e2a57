// Loads what `serve` loads, then ends: the launcher runs it after a change of the sources. What Node compiled is kept in
// its cache, and the process that stays need not hold the TypeScript compiler (27 MB) until its next start.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteStore } from '../store/sqlite.ts'

const folder = mkdtempSync(join(tmpdir(), 'tandem-compile-'))
try {
  await import('./daemon.ts')
  await import('../cli/commands/serve.ts')
  // What a start loads later.
  await import('../server/auth/bootstrap.ts')
  // The writer thread has a source file of its own.
  await (await openSqliteStore(join(folder, 'store.db'))).close()
} finally {
  rmSync(folder, { recursive: true })
}
process.exit(0)
