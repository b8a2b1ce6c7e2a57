// History stays for five minutes and goes in the sixth.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogger } from '../base/log.ts'
import { createMemoryStore } from '../store/memory.ts'
import { compactRegularly } from './compaction.ts'

test('a state is there for five minutes, and no longer than six', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const store = createMemoryStore()
  const compacting = compactRegularly(
    store,
    createLogger(() => {}),
  )
  t.mock.timers.tick(30_000)
  const { revision } = await store.write({ key: '/a', expected: 0, value: () => 'x' })
  await store.write({ key: '/b', expected: 0, value: () => 'x' })
  t.mock.timers.tick(300_000)
  assert.ok(store.compacted() < revision)
  t.mock.timers.tick(60_000)
  assert.ok(store.compacted() >= revision)
  compacting.stop()
})
