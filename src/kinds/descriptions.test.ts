// Every explanation explains something that exists.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { descriptions } from './descriptions.ts'
import { types } from './types.ts'

test('descriptions name fields of types', () => {
  const strangers: string[] = []
  for (const [typeName, fields] of Object.entries(descriptions))
    for (const field of Object.keys(fields))
      if (!types[typeName] || (field && !types[typeName].properties?.[field])) strangers.push(`${typeName}.${field}`)
  assert.deepEqual(strangers, [])
})
