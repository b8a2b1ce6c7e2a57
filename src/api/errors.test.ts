import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type FieldError, invalid, maxFieldErrors } from './errors.ts'

const errorAt = (index: number): FieldError => ({
  type: 'FieldValueInvalid',
  field: `spec.list[${index}]`,
  value: index,
  detail: 'must be a word',
})

describe('the 422 of field errors', () => {
  test('one stands alone, several in brackets, the same once', () => {
    assert.equal(
      invalid('Job', 'a', [errorAt(0)], 'batch').message,
      'Job.batch "a" is invalid: spec.list[0]: Invalid value: 0: must be a word',
    )
    assert.equal(
      invalid('Pod', 'a', [errorAt(0), errorAt(1), errorAt(0)]).message,
      'Pod "a" is invalid: [spec.list[0]: Invalid value: 0: must be a word, spec.list[1]: Invalid value: 1: must be a word]',
    )
  })

  test('an endless list ends', () => {
    const { message, details } = invalid(
      'Pod',
      'a',
      Array.from({ length: 100_000 }, (_, index) => errorAt(index)),
    )
    assert.equal(details?.causes?.length, maxFieldErrors)
    assert.match(message, /, and more\]$/)
  })
})
