// Plain JSON data handled safely: names that would reach into JavaScript's own objects, depth, copies and equality.

import { ApiError } from '../errors.ts'

/** Deeper data is refused: nothing real is, and walks are recursive. */
export const maxDepth = 500

/**
 * False for the one name that assignment does not treat as an ordinary key. "constructor" and "toString" are ordinary
 * as long as objects are only asked for their own keys.
 */
export const settable = (key: string): boolean => key !== '__proto__'

export const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An own field, never something inherited. */
export const own = (object: object, key: string): any =>
  Object.hasOwn(object, key) ? (object as Record<string, unknown>)[key] : undefined

/** A deep copy of JSON data without undefined fields. */
export function copyJson<T>(value: T, depth = 0): T {
  if (typeof value !== 'object' || value === null) return value
  if (depth > maxDepth) throw new ApiError('BadRequest', 'exceeded max depth')
  if (Array.isArray(value)) return value.map((item) => copyJson(item, depth + 1)) as T
  const out: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const part = (value as Record<string, unknown>)[key]
    if (part !== undefined && settable(key)) out[key] = copyJson(part, depth + 1)
  }
  return out as T
}

/** Equal as JSON; a field that is undefined is a field that is not there. Key order does not matter. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a) !== Array.isArray(b)) return false
  if (Array.isArray(a) && Array.isArray(b)) {
    if (a.length !== b.length) return false
    for (let index = 0; index < a.length; index++) if (!equalJson(a[index], b[index])) return false
    return true
  }
  const left = a as Record<string, unknown>
  const right = b as Record<string, unknown>
  let count = 0
  for (const key of Object.keys(left)) {
    if (left[key] === undefined) continue
    count++
    if (!Object.hasOwn(right, key) || !equalJson(left[key], right[key])) return false
  }
  for (const key of Object.keys(right)) if (right[key] !== undefined) count--
  return count === 0
}

/** Refuses data that recursion could not walk or that hides a "__proto__" key. Does not recurse itself. */
export function guardJson(value: unknown, what: string): void {
  const stack: [unknown, number][] = [[value, 0]]
  for (let entry = stack.pop(); entry; entry = stack.pop()) {
    const [part, depth] = entry
    if (typeof part !== 'object' || part === null) continue
    if (depth > maxDepth) throw new ApiError('BadRequest', `${what}: exceeded max depth`)
    for (const key of Object.keys(part)) {
      if (!settable(key)) throw new ApiError('BadRequest', `${what}: the field name "__proto__" is not allowed`)
      stack.push([(part as Record<string, unknown>)[key], depth + 1])
    }
  }
}
