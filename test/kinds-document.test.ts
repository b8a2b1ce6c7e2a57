// docs/kinds.md says what the code does: it is made from the same data.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { kindsDocument } from '../scripts/kinds-document.ts'

test('docs/kinds.md is up to date', () => {
  const text = readFileSync(resolve(import.meta.dirname, '../docs/kinds.md'), 'utf8')
  assert.equal(text, kindsDocument(), 'run: node scripts/kinds-doc.ts')
})
