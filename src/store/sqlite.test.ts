import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openSqliteStore } from './sqlite.ts'
import { storeContract } from './store.contract.ts'

const directory = mkdtempSync(join(tmpdir(), 'tandem-store-'))
after(() => rmSync(directory, { recursive: true }))
let count = 0

storeContract('sqlite', () => openSqliteStore(join(directory, `${count++}.db`)))

test('sqlite: everything is there again after a restart, revisions go on', async () => {
  const path = join(directory, 'restart.db')
  const first = await openSqliteStore(path)
  await first.write({ key: '/a/1', value: (revision) => `x@${revision}` })
  await first.write({ key: '/a/2', value: () => 'gone' })
  const last = await first.write({ key: '/a/2', value: null })
  await first.compact(last.revision)
  await first.close()
  const second = await openSqliteStore(path)
  assert.equal(second.revision(), last.revision)
  assert.equal(second.compacted(), last.revision)
  assert.deepEqual(
    second.list('/').map((entry) => entry.key),
    ['/a/1'],
  )
  const next = await second.write({ key: '/a/1', value: (revision) => `y@${revision}` })
  assert.equal(next.revision, last.revision + 1)
  await second.close()
})
