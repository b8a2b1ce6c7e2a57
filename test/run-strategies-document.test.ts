// docs/run-strategies.md says what the end-to-end test checks: it is made from the same data.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { runStrategiesDocument } from '../scripts/run-strategies-document.ts'

test('docs/run-strategies.md is up to date', () => {
  const text = readFileSync(resolve(import.meta.dirname, '../docs/run-strategies.md'), 'utf8')
  assert.equal(text, runStrategiesDocument(), 'run: node scripts/run-strategies-doc.ts')
})
