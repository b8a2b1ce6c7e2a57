// CEL values as text that is the same for equal values, and back to JSON.

import { toBase64 } from './bytes.ts'
import { durationText, timestampText } from './library/time-text.ts'
import { CelError } from './problem.ts'
import { CelMap, Duration, mapKey, Optional, Timestamp, Uint } from './values.ts'

/** Equal values have equal text (within one type of list item). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`
  if (value instanceof CelMap) {
    const keys = value.keys().map((key) => [String(mapKey(key)), key] as const)
    return `{${keys
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([text, key]) => `${JSON.stringify(text)}:${canonicalJson(value.get(key))}`)
      .join()}}`
  }
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Uint8Array) return `b${toBase64(value)}`
  if (value instanceof Timestamp || value instanceof Duration) return `${value.constructor.name}${value.ns}`
  return String(mapKey(value))
}

/** A value as JSON. @throws CelError when JSON has no word for it */
export function toJson(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(toJson)
  if (value instanceof CelMap) {
    return Object.fromEntries(value.keys().map((key) => [String(mapKey(key)), toJson(value.get(key))]))
  }
  if (value instanceof Uint) return Number(value.value)
  if (value instanceof Uint8Array) return toBase64(value)
  if (value instanceof Timestamp) return timestampText(value)
  if (value instanceof Duration) return durationText(value.ns)
  if (value instanceof Optional) return value.present ? toJson(value.value) : null
  throw new CelError('a value that JSON has no word for')
}
