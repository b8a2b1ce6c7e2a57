// JSON Patch (RFC 6902) as the real server applies it: limits and error texts of evanphx/json-patch v4 (Kubernetes
// 1.32). What was patched is not changed; the result shares what the patch did not touch.

import { ApiError } from '../errors.ts'
import { copyJson, equalJson, guardJson, isPlainObject, settable } from '../walk/plain.ts'

export interface JsonPatchOperation {
  op: 'add' | 'remove' | 'replace' | 'move' | 'copy' | 'test'
  path: string
  from?: string
  value?: unknown
}

const maxOperations = 10_000
/** Copies may double a document with each step; the sum of what they copy is limited. */
const maxCopied = 3 * 1024 * 1024

/** @throws ApiError 400 for what is no patch, 413 for too many operations, 422 for one that does not fit the object */
export function applyJsonPatch<T>(object: T, patch: unknown): T {
  const operations = readOperations(patch)
  let document: unknown = copyJson(object)
  let copied = 0
  for (const operation of operations) {
    if (operation.op === 'copy') {
      copied += JSON.stringify(lookup(document, source(operation)) ?? null).length
      if (copied > maxCopied)
        throw refused(`Unable to complete the copy, the accumulated size increase exceeds the limit`)
    }
    document = apply(document, operation)
  }
  return document as T
}

function readOperations(patch: unknown): JsonPatchOperation[] {
  if (!Array.isArray(patch)) throw malformed(`cannot unmarshal ${isPlainObject(patch) ? 'object' : typeof patch}`)
  if (patch.length > maxOperations)
    throw new ApiError(
      'RequestEntityTooLarge',
      `Request entity too large: The allowed maximum operations in a JSON patch is ${maxOperations}, got ${patch.length}`,
    )
  guardJson(patch, 'error decoding patch')
  return patch.map(readOperation)
}

const malformed = (problem: string): ApiError =>
  new ApiError('BadRequest', `error decoding patch: json: ${problem} into Go value of type []handlers.jsonPatchOp`)

function readOperation(operation: unknown): JsonPatchOperation {
  if (!isPlainObject(operation)) throw malformed(`cannot unmarshal ${typeof operation}`)
  for (const field of ['op', 'path', 'from']) {
    const value = operation[field]
    if (value !== undefined && typeof value !== 'string')
      throw new ApiError(
        'BadRequest',
        `error decoding patch: json: cannot unmarshal ${typeof value} into Go struct field jsonPatchOp.${field} of type string`,
      )
  }
  return operation as unknown as JsonPatchOperation
}

/** The 422 of a patch that does not apply; upstream says only its first half. */
const refused = (problem: string): ApiError =>
  new ApiError('Invalid', `the server rejected our request due to an error in our request: ${problem}`, {
    causes: [{ reason: 'FieldValueInvalid', message: problem, field: 'patch' }],
  })

function apply(document: unknown, operation: JsonPatchOperation): unknown {
  const { op, path } = operation
  if (path === undefined) throw refused(`${op} operation failed to decode path: missing value`)
  switch (op) {
    case 'add':
      return put(document, path, copyJson(given(operation)), 'add')
    case 'replace':
      return put(document, path, copyJson(given(operation)), 'replace')
    case 'remove':
      return remove(document, path, 'remove', 'path')
    case 'test':
      return check(document, path, operation.value)
    case 'move': {
      const from = source(operation)
      const value = lookup(document, from)
      return put(remove(document, from, 'move', 'from path'), path, value, 'move')
    }
    case 'copy': {
      const value = lookup(document, source(operation))
      if (value === undefined)
        throw refused(`copy operation does not apply: doc is missing from path: ${operation.from}: missing value`)
      return put(document, path, copyJson(value), 'copy')
    }
    default:
      throw refused(`Unexpected kind: ${op ?? 'unknown'}`)
  }
}

const given = (operation: JsonPatchOperation): unknown => {
  if (operation.value === undefined && !Object.hasOwn(operation, 'value')) return null
  return operation.value
}

function source(operation: JsonPatchOperation): string {
  if (operation.from === undefined) throw refused(`${operation.op} operation failed to decode from: missing value`)
  return operation.from
}

const steps = (path: string): string[] =>
  path
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))

/** The container of the last step, or undefined when the way to it is missing. */
function container(document: unknown, path: string): { parent: any; key: string } | undefined {
  const way = steps(path)
  const key = way.pop()
  if (key === undefined || !path.startsWith('/')) return undefined
  let at: unknown = document
  for (const step of way) {
    at = child(at, step)
    if (at === undefined) return undefined
  }
  return typeof at === 'object' && at !== null && settable(key) ? { parent: at, key } : undefined
}

function child(value: unknown, step: string): unknown {
  if (Array.isArray(value)) {
    const index = arrayIndex(step, value.length)
    return index === undefined ? undefined : value[index]
  }
  return isPlainObject(value) && Object.hasOwn(value, step) ? value[step] : undefined
}

/** Negative indices count from the end, as the upstream library allows. */
function arrayIndex(step: string, length: number): number | undefined {
  if (!/^-?(?:0|[1-9]\d{0,9})$/.test(step)) return undefined
  const index = Number(step)
  const found = index < 0 ? length + index : index
  return found >= 0 && found < length ? found : undefined
}

const lookup = (document: unknown, path: string): unknown =>
  path === '' ? document : steps(path).reduce<unknown>((at, step) => child(at, step), document)

type Verb = 'add' | 'replace' | 'move' | 'copy'

function put(document: unknown, path: string, value: unknown, verb: Verb): unknown {
  if (path === '') return value
  const place = container(document, path)
  if (!place)
    throw refused(`${verb} operation does not apply: doc is missing path: ${shown(path, verb)}: missing value`)
  const { parent, key } = place
  if (!Array.isArray(parent)) {
    // RFC 6902 wants a key to be there that is replaced. Upstream's library does not ask, and controllers count on it:
    // external-snapshotter replaces a /status that is not there yet.
    parent[key] = value
    return document
  }
  const index = verb === 'replace' ? arrayIndex(key, parent.length) : insertIndex(key, parent.length)
  if (index === undefined) {
    const said =
      verb === 'replace' ? 'replace operation does not apply: doc is missing key' : `error in ${verb} for path`
    throw refused(`${said}: ${shown(path, verb)}: Unable to access invalid index: ${key}: invalid index referenced`)
  }
  parent.splice(index, verb === 'replace' ? 1 : 0, value)
  return document
}

const shown = (path: string, verb: Verb): string => (verb === 'add' ? `"${path}"` : path)

function insertIndex(step: string, length: number): number | undefined {
  if (step === '-') return length
  if (!/^-?(?:0|[1-9]\d{0,9})$/.test(step)) return undefined
  const index = Number(step)
  const found = index < 0 ? length + 1 + index : index
  return found >= 0 && found <= length ? found : undefined
}

function remove(document: unknown, path: string, verb: string, what: string): unknown {
  const place = container(document, path)
  if (!place) throw refused(`${verb} operation does not apply: doc is missing ${what}: "${path}": missing value`)
  const { parent, key } = place
  if (Array.isArray(parent)) {
    const index = arrayIndex(key, parent.length)
    if (index === undefined)
      throw refused(
        `error in ${verb} for path: '${path}': Unable to access invalid index: ${key}: invalid index referenced`,
      )
    parent.splice(index, 1)
  } else {
    if (!Object.hasOwn(parent, key))
      throw refused(`error in ${verb} for path: '${path}': Unable to remove nonexistent key: ${key}: missing value`)
    delete parent[key]
  }
  return document
}

function check(document: unknown, path: string, wanted: unknown): unknown {
  const found = lookup(document, path)
  if (found === undefined ? wanted !== undefined && wanted !== null : !equalJson(found, wanted ?? null))
    throw refused(`testing value ${path} failed: test failed`)
  return document
}
