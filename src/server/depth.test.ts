// Nesting that is refused.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isTooDeep, isValueTooDeep, maxDepth } from './depth.ts'

const nested = (depth: number) => `${'['.repeat(depth)}${' '.repeat(2 * maxDepth)}${']'.repeat(depth)}`

test('text is as deep as its brackets outside of strings', () => {
  assert.equal(isTooDeep(nested(maxDepth)), false)
  assert.equal(isTooDeep(nested(maxDepth + 1)), true)
  assert.equal(isTooDeep(`["${'['.repeat(4 * maxDepth)}"]`), false)
  assert.equal(isTooDeep(`["\\"${'[{'.repeat(4 * maxDepth)}"]`), false)
  assert.equal(isTooDeep(`[${'[],{},'.repeat(4 * maxDepth)}1]`), false)
})

test('a value that holds itself is too deep', () => {
  const circle: unknown[] = [1]
  circle.push(circle)
  assert.equal(isValueTooDeep(circle), true)
  assert.equal(isValueTooDeep(JSON.parse(nested(maxDepth - 1))), false)
})
