// What a selection, an index and a list, map or struct in CEL's text come to, value by value.

import { reject } from './frame.ts'
import { CelError, noSuchOverload } from './problem.ts'
import { CelMap, mapKey, Optional, typeName, Uint, ValueMap } from './values.ts'

export const isPrimitive = (value: unknown): boolean =>
  ['bigint', 'number', 'string', 'boolean'].includes(typeof value) || value instanceof Uint || value === null

export const asOptional = (value: unknown): Optional => {
  if (value instanceof Optional) return value
  throw new CelError('cannot initialize optional entry from non-optional value')
}

export function buildMap(entries: [unknown, unknown][]): ValueMap {
  const result = new ValueMap(entries)
  for (const [key] of entries) {
    if (!['string', 'bigint', 'boolean'].includes(typeof mapKey(key))) throw new CelError('unsupported key type')
  }
  return result
}

export function elementsOf(value: unknown, two: boolean): Iterable<[unknown, unknown]> {
  if (Array.isArray(value)) return value.map((item, i) => (two ? [BigInt(i), item] : [item, undefined]))
  if (value instanceof CelMap) return value.keys().map((key) => [key, two ? value.get(key) : undefined])
  throw noSuchOverload()
}

export function present(value: unknown, key: unknown): unknown {
  if (value === undefined) throw new CelError(`no such key: ${key instanceof Uint ? key.value : key}`)
  return value
}

export function selectField(value: unknown, field: string): unknown {
  const operand = reject(value)
  if (operand instanceof CelMap) return present(operand.get(field), field)
  if (operand instanceof Optional) return optionalAt(operand, field)
  throw noSuchOverload()
}

export function isPresent(value: unknown, field: string): boolean {
  const operand = reject(value)
  // What does not fit its schema is an error, not absent.
  if (operand instanceof CelMap) return operand.has(field) && operand.get(field) !== undefined
  if (operand instanceof Optional) return operand.present && isPresent(operand.value, field)
  throw noSuchOverload()
}

export function at(value: unknown, key: unknown): unknown {
  if (value instanceof CelMap) return present(value.get(key), key)
  if (!Array.isArray(value)) throw noSuchOverload()
  const index = mapKey(key)
  if (typeof index !== 'bigint') throw new CelError(`unsupported index type '${typeName(key)}' in list`)
  const found = index >= 0n && index < BigInt(value.length) ? value[Number(index)] : undefined
  if (found === undefined) throw new CelError(`index out of bounds: ${index}`)
  return found
}

export function optionalAt(value: unknown, key: unknown): Optional {
  if (value instanceof Optional) return value.present ? optionalAt(value.value, key) : value
  if (value instanceof CelMap) return value.has(key) ? optionalOf(value.get(key)) : Optional.none
  if (!Array.isArray(value)) throw noSuchOverload()
  const index = mapKey(key)
  if (typeof index !== 'bigint') throw new CelError(`unsupported index type '${typeName(key)}' in list`)
  return index >= 0n && index < BigInt(value.length) ? optionalOf(value[Number(index)]) : Optional.none
}

const optionalOf = (value: unknown): Optional => (value instanceof Optional ? value : Optional.of(value))
