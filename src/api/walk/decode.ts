// Reads data by its schema, as the real server's decoders do, in one pass that makes a copy: unknown fields are dropped
// and named, wrong types are found, and (for built-in kinds) values are written the way Go would write them again:
// nulls and empty values of optional fields go, quantities and times become canonical.
// Error texts mirrored from Go's encoding/json, sigs.k8s.io/json and apimachinery (1.32).

import { ApiError } from '../errors.ts'
import { canonicalQuantity, quantityErrors } from '../quantity.ts'
import { canonicalMicroTime, canonicalTime, formatDurationNanos, parseDurationNanos, timeError } from '../time.ts'
import { maxDepth, settable } from './plain.ts'
import { anyShape, type Shape } from './shape.ts'

/**
 * How a kind is read. `typed`: a built-in kind; a wrong type is refused at once (400). `structural`: a custom resource;
 * types are left to validation (422), values stay as they were sent, and only metadata is typed.
 */
export type DecodeMode = 'typed' | 'structural'

export interface Decoded<T> {
  /** A pruned copy; what was read is not changed and not shared. */
  object: T
  /** Paths that the schema does not know: 'spec.foo', 'spec.containers[0].foo'. At most 100. */
  unknown: string[]
  /** The first value of a wrong type, in Go's words: 'json: cannot unmarshal string into Go struct field …'. */
  wrong: string | undefined
}

interface Run {
  typed: boolean
  path: (string | number)[]
  root: Shape
  /** Name of the innermost Go struct, for the message. */
  struct: string
  unknown: string[]
  wrong: string | undefined
  depth: number
}

const maxUnknown = 100

/** Decodes a whole object or any part of one. `name` is the Go name of the outermost struct: the kind. */
export function decode<T = any>(value: unknown, shape: Shape, mode: DecodeMode, name = ''): Decoded<T> {
  const run: Run = {
    typed: mode === 'typed',
    path: [],
    root: shape,
    struct: name,
    unknown: [],
    wrong: undefined,
    depth: 0,
  }
  const object = decodeValue(run, shape, value)
  return { object: (object ?? {}) as T, unknown: run.unknown, wrong: run.wrong }
}

function decodeValue(run: Run, shape: Shape, value: unknown): unknown {
  switch (shape.kind) {
    case 'object':
      return decodeObject(run, shape, value)
    case 'map':
      return decodeMap(run, shape, value)
    case 'array':
      return decodeArray(run, shape, value)
    case 'any':
      return shape.asObject && isObject(value) ? decodeObject(run, shape.asObject, value) : copyAny(run, value)
    default:
      return run.typed ? decodeScalar(run, shape, value) : copyAny(run, value)
  }
}

function decodeObject(run: Run, shape: Shape, value: unknown): unknown {
  if (!isObject(value)) return run.typed || run.path.length === 0 ? mismatch(run, shape, value) : copyAny(run, value)
  enter(run)
  const outer = run.struct
  const typed = run.typed
  if (shape.typeName) run.struct = structName(shape.typeName)
  const out: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const part = value[key]
    if (part === undefined) continue
    const field = shape.fields.get(key)
    if (!field) {
      decodeUndeclared(run, shape, key, part, out)
      continue
    }
    if (part === null && dropsNull(run, field)) continue
    run.path.push(key)
    // Metadata is typed in every kind.
    if (run.path.length === 1 && key === 'metadata') run.typed = true
    const kept = decodeValue(run, field, part)
    if (kept !== undefined && !(run.typed && !field.keepZero && isZero(kept, field))) out[key] = kept
    run.typed = typed
    run.path.pop()
  }
  run.struct = outer
  run.depth--
  return out
}

function decodeUndeclared(run: Run, shape: Shape, key: string, value: unknown, out: Record<string, unknown>): void {
  if (!settable(key) || (!shape.values && !shape.open)) {
    reportUnknown(run, key)
    return
  }
  run.path.push(key)
  const kept = value === null ? null : decodeValue(run, shape.values ?? anyShape, value)
  if (kept !== undefined) out[key] = kept
  run.path.pop()
}

/** Null means "not set" in Go; a custom resource keeps it where its schema says nullable. */
const dropsNull = (run: Run, field: Shape): boolean => field.kind !== 'any' && (run.typed || !field.schema.nullable)

function decodeMap(run: Run, shape: Shape, value: unknown): unknown {
  if (!isObject(value)) return run.typed ? mismatch(run, shape, value) : copyAny(run, value)
  enter(run)
  const values = shape.values!
  const out: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const part = value[key]
    if (part === undefined) continue
    if (!settable(key)) {
      reportUnknown(run, key)
      continue
    }
    run.path.push(key)
    const kept = part === null ? nullItem(run, values) : decodeValue(run, values, part)
    if (kept !== undefined) out[key] = kept
    run.path.pop()
  }
  run.depth--
  return out
}

function decodeArray(run: Run, shape: Shape, value: unknown): unknown {
  if (!Array.isArray(value)) return run.typed ? mismatch(run, shape, value) : copyAny(run, value)
  enter(run)
  const items = shape.items ?? anyShape
  const out: unknown[] = []
  for (let index = 0; index < value.length; index++) {
    run.path.push(index)
    const part = value[index]
    const kept = part === null || part === undefined ? nullItem(run, items) : decodeValue(run, items, part)
    // After a wrong item the result is refused anyway.
    if (kept !== undefined) out.push(kept)
    run.path.pop()
  }
  run.depth--
  return out
}

/** What Go makes of a null inside a list or a map: the zero value. */
function nullItem(run: Run, shape: Shape): unknown {
  if (!run.typed) return null
  switch (shape.kind) {
    case 'object':
      return {}
    case 'string':
      return ''
    case 'integer':
    case 'number':
    case 'int-or-string':
      return 0
    case 'boolean':
      return false
    case 'quantity':
      return '0'
    default:
      return null
  }
}

function decodeScalar(run: Run, shape: Shape, value: unknown): unknown {
  switch (shape.kind) {
    case 'string':
      if (typeof value !== 'string') return mismatch(run, shape, value)
      return shape.schema.format ? decodeFormat(run, shape.schema.format, value) : value
    case 'integer':
      return isInteger(value, shape.schema.format) ? value : mismatch(run, shape, value)
    case 'number':
      return typeof value === 'number' ? value : mismatch(run, shape, value)
    case 'boolean':
      return typeof value === 'boolean' ? value : mismatch(run, shape, value)
    case 'int-or-string':
      return typeof value === 'string' || isInteger(value, 'int32') ? value : mismatch(run, shape, value)
    default:
      return decodeQuantity(run, value)
  }
}

function decodeQuantity(run: Run, value: unknown): unknown {
  if (typeof value !== 'string' && typeof value !== 'number') return failAt(run, quantityErrors.format)
  try {
    return canonicalQuantity(String(value).trim())
  } catch (error) {
    return failAt(run, (error as Error).message)
  }
}

function decodeFormat(run: Run, format: string, value: string): unknown {
  switch (format) {
    case 'date-time':
      return canonicalTime(value) ?? failAt(run, timeError(value))
    case 'micro-time':
      return canonicalMicroTime(value) ?? failAt(run, timeError(value, true))
    case 'duration': {
      const nanos = parseDurationNanos(value)
      return nanos === undefined
        ? failAt(run, `time: invalid duration ${JSON.stringify(value)}`)
        : formatDurationNanos(nanos)
    }
    case 'byte': {
      const end = badBase64(value)
      return end < 0 ? value : failAt(run, `illegal base64 data at input byte ${end}`)
    }
    default:
      return value
  }
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Index of the first byte that is no base64, as Go's decoder counts, or -1. */
function badBase64(text: string): number {
  const plain = text.includes('\n') || text.includes('\r') ? text.replace(/[\r\n]/g, '') : text
  if (base64.test(plain)) return -1
  const wrong = plain.search(/[^A-Za-z0-9+/]/)
  return wrong < 0 ? plain.length - (plain.length % 4) : wrong
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isInteger = (value: unknown, format: string | undefined): boolean =>
  typeof value === 'number' &&
  Number.isInteger(value) &&
  (format === 'int32' ? value >= -2147483648 && value <= 2147483647 : Math.abs(value) <= 2 ** 63)

/** What Go's omitempty leaves out. A struct is never empty in that sense. */
function isZero(value: unknown, shape: Shape): boolean {
  if (value === '' || value === 0 || value === false) return shape.kind !== 'int-or-string'
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.length === 0
  if (shape.kind !== 'map') return false
  for (const _ in value) return false
  return true
}

function copyAny(run: Run, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  enter(run)
  let out: unknown
  if (Array.isArray(value)) out = value.map((part) => (part === undefined ? null : copyAny(run, part)))
  else {
    const copy: Record<string, unknown> = {}
    for (const key of Object.keys(value)) {
      const part = (value as Record<string, unknown>)[key]
      if (!settable(key)) reportUnknown(run, key)
      else if (part !== undefined) copy[key] = copyAny(run, part)
    }
    out = copy
  }
  run.depth--
  return out
}

function enter(run: Run): void {
  if (++run.depth > maxDepth) throw new ApiError('BadRequest', 'exceeded max depth')
}

function fail(run: Run, message: string): undefined {
  run.wrong ??= message
}

/** A value that does not parse. Upstream's decoder does not say which field it was; a person has to know. */
function failAt(run: Run, message: string): undefined {
  fail(run, `${pathText(run.path)}: ${message}`)
}

function mismatch(run: Run, shape: Shape, value: unknown): undefined {
  const where = run.path.length ? ` into Go struct field ${run.struct}.${goPath(run)}` : ' into Go value'
  fail(run, `json: cannot unmarshal ${goValue(shape, value)}${where} of type ${goType(shape, run.struct)}`)
}

function goValue(shape: Shape, value: unknown): string {
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number')
    return shape.kind === 'integer' || shape.kind === 'int-or-string' ? `number ${value}` : 'number'
  return typeof value
}

/** Go names the struct fields on the way, but neither list indices nor map keys. */
function goPath(run: Run): string {
  const names: string[] = []
  let shape: Shape | undefined = run.root
  for (const step of run.path) {
    if (typeof step === 'number') shape = shape?.items
    else {
      if (shape?.fields.has(step)) names.push(step)
      shape = shape?.fields.get(step) ?? shape?.values
    }
  }
  return names.join('.')
}

/** 'core.v1.PodSpec' → 'PodSpec' */
const structName = (typeName: string): string => typeName.slice(typeName.lastIndexOf('.') + 1)

/** The Go type that the field has upstream, as far as the schema tells. */
export function goType(shape: Shape, outer = ''): string {
  switch (shape.kind) {
    case 'object':
      if (!shape.typeName) return shape.schema === anyShape.schema ? 'interface {}' : goStruct(outer)
      return goStruct(shape.typeName)
    case 'map':
      return `map[string]${goType(shape.values!)}`
    case 'array':
      return `[]${goType(shape.items ?? anyShape)}`
    case 'string':
      return shape.schema.format === 'byte' ? '[]uint8' : 'string'
    case 'integer':
      return shape.schema.format === 'int64' ? 'int64' : 'int32'
    case 'number':
      return 'float64'
    case 'boolean':
      return 'bool'
    case 'int-or-string':
      return 'int32'
    case 'quantity':
      return 'resource.Quantity'
    default:
      return 'interface {}'
  }
}

function goStruct(typeName: string): string {
  const parts = typeName.split('.')
  return parts.length > 1 ? parts.slice(-2).join('.') : `v1.${typeName || 'ObjectMeta'}`
}

function reportUnknown(run: Run, key: string): void {
  if (run.unknown.length >= maxUnknown) return
  run.unknown.push(pathText([...run.path, key]))
}

/** 'spec.containers[0].name' */
export function pathText(path: readonly (string | number)[]): string {
  let text = ''
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text ? `.${step}` : step
  return text
}

/** 'unknown field "spec.foo"': one problem as strict decoding names it; also the text of a warning. */
export const unknownFieldText = (path: string): string => `unknown field ${JSON.stringify(path)}`

/** 'strict decoding error: unknown field "spec.foo", unknown field "spec.bar"' */
export const strictDecodingText = (problems: string[]): string => `strict decoding error: ${problems.join(', ')}`

/** The 400 for a body that cannot be read as the kind: 'Deployment in version "v1" cannot be handled as a Deployment: …' */
export const cannotBeHandled = (kind: string, version: string, problem: string): ApiError =>
  new ApiError('BadRequest', `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}: ${problem}`)
