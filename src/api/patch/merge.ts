// JSON Merge Patch (RFC 7386). What was patched is not changed; the result shares what the patch did not touch.

import { ApiError } from '../errors.ts'
import { guardJson, isPlainObject } from '../walk/plain.ts'

/** @throws ApiError 400 when the patch is no object */
export function applyMergePatch<T>(object: T, patch: unknown): T {
  if (!isPlainObject(patch)) throw new ApiError('BadRequest', 'Invalid JSON Patch')
  guardJson(patch, 'error decoding patch')
  return merge(object, patch) as T
}

function merge(target: unknown, patch: Record<string, unknown>): Record<string, unknown> {
  const out: Record<string, unknown> = isPlainObject(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || value === undefined) delete out[key]
    else out[key] = isPlainObject(value) ? merge(Object.hasOwn(out, key) ? out[key] : undefined, value) : value
  }
  return out
}

/** The patch that makes `modified` from `original`; undefined when they are equal. Used by clients and by the console. */
export function createMergePatch(original: object, modified: object): Record<string, unknown> | undefined {
  const patch: Record<string, unknown> = {}
  const before = original as Record<string, unknown>
  const after = modified as Record<string, unknown>
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key) || after[key] === undefined) patch[key] = null
  for (const [key, value] of Object.entries(after)) {
    const old = Object.hasOwn(before, key) ? before[key] : undefined
    if (value === undefined) continue
    if (isPlainObject(value) && isPlainObject(old)) {
      const inner = createMergePatch(old, value)
      if (inner) patch[key] = inner
    } else if (JSON.stringify(value) !== JSON.stringify(old)) patch[key] = value
  }
  return Object.keys(patch).length ? patch : undefined
}
