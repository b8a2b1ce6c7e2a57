// Strategic merge patch: a merge patch that knows from the schema which lists merge by key. Semantics, order rules and
// error texts of apimachinery util/strategicpatch (1.32). Built-in kinds only; custom resources do not have it upstream.

import { ApiError } from '../errors.ts'
import { copyJson, guardJson, isPlainObject, own } from '../walk/plain.ts'
import { anyShape, type Shape } from '../walk/shape.ts'
import {
  badFormat,
  directive,
  invalidPatch,
  mergeList,
  orderList,
  strategyOf,
  withoutDirectives,
} from './strategic-lists.ts'

type Fields = Record<string, unknown>

const retainKeys = '$retainKeys'
const deletePrefix = '$deleteFromPrimitiveList/'
const orderPrefix = '$setElementOrder/'

/** @throws ApiError 400 for what is no patch, 422 for one that does not fit */
export function applyStrategicPatch<T>(object: T, patch: unknown, shape: Shape): T {
  if (!isPlainObject(patch)) throw new ApiError('BadRequest', 'invalid JSON document')
  guardJson(patch, 'error decoding patch')
  return mergeMap(copyJson(object) as Fields, copyJson(patch), shape) as T
}

const badDirective = (value: unknown, map: Fields): ApiError =>
  new ApiError('BadRequest', `unknown patch type: ${String(value)} in map: ${JSON.stringify(map)}`)

/** Merges `patch` into `original`; both are used up. */
function mergeMap(original: Fields, patch: Fields, shape: Shape): Fields {
  if (Object.hasOwn(patch, directive)) return followDirective(patch)
  applyRetainKeys(original, patch)
  applyElementOrders(original, patch, shape)
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith(deletePrefix)) deleteFromList(original, key.slice(deletePrefix.length), value)
    else mergeField(original, key, value, shape)
  }
  return original
}

/** "$patch: replace" keeps only the patch, "$patch: delete" empties the map. */
function followDirective(patch: Fields): Fields {
  const value = patch[directive]
  if (value === 'delete') return {}
  if (value !== 'replace') throw badDirective(value, patch)
  delete patch[directive]
  return patch
}

function mergeField(original: Fields, key: string, value: unknown, shape: Shape): void {
  if (value === null) {
    delete original[key]
    return
  }
  const old = own(original, key)
  const field = fieldOf(shape, key)
  if (isPlainObject(old) && isPlainObject(value)) {
    original[key] = strategyOf(field) === 'replace' ? value : mergeMap(old, value, field ?? undeclared(shape, key))
  } else if (Array.isArray(old) && Array.isArray(value)) {
    original[key] = mergesLists(field) ? mergeList(old, value, field!, mergeMap) : value
  } else setWithoutDirectives(original, key, value)
}

/** Something new, or something of another type: the patch's value, without nulls and directives. */
function setWithoutDirectives(original: Fields, key: string, value: unknown): void {
  dropNulls(value)
  const kept = withoutDirectives(value)
  if (kept === undefined) delete original[key]
  else original[key] = kept
}

const fieldOf = (shape: Shape, key: string): Shape | undefined => shape.fields.get(key) ?? shape.values

/** Undeclared data merges like anything else: it can only come from an open object. */
function undeclared(shape: Shape, key: string): Shape {
  if (shape.open) return anyShape
  const struct = shape.typeName?.slice(shape.typeName.lastIndexOf('.') + 1) ?? ''
  throw invalidPatch(`unable to find api field in struct ${struct} for the json field ${JSON.stringify(key)}`)
}

const mergesLists = (field: Shape | undefined): boolean => field !== undefined && strategyOf(field) === 'merge'

function applyRetainKeys(original: Fields, patch: Fields): void {
  if (!Object.hasOwn(patch, retainKeys)) return
  const keep = patch[retainKeys]
  delete patch[retainKeys]
  if (!Array.isArray(keep)) throw badFormat('retainKeys')
  for (const [key, value] of Object.entries(patch)) {
    if (value === null || key.startsWith(deletePrefix) || key.startsWith(orderPrefix)) continue
    if (!keep.includes(key)) throw badFormat('retainKeys')
  }
  for (const key of Object.keys(original)) if (!keep.includes(key)) delete original[key]
}

function deleteFromList(original: Fields, key: string, items: unknown): void {
  const list = own(original, key)
  if (!Array.isArray(list)) return
  if (!Array.isArray(items) || list.some(isPlainObject)) throw badFormat('primitive list')
  original[key] = list.filter((item) => !items.includes(item))
}

/** A "$setElementOrder/x" and its list x are handled together, and taken out of the patch. */
function applyElementOrders(original: Fields, patch: Fields, shape: Shape): void {
  for (const name of Object.keys(patch)) {
    if (!name.startsWith(orderPrefix)) continue
    const order = patch[name]
    const key = name.slice(orderPrefix.length)
    delete patch[name]
    const live = own(original, key)
    const changes = own(patch, key)
    for (const list of [order, live ?? [], changes ?? []])
      if (!Array.isArray(list)) throw invalidPatch(`expected a []interface {}, but received a ${goKind(list)}`)
    const field = fieldOf(shape, key)
    if (!field) undeclared(shape, key)
    const ordered = orderList(
      live as unknown[] | undefined,
      changes as unknown[] | undefined,
      order as unknown[],
      field ?? anyShape,
      mergeMap,
    )
    if (ordered) original[key] = ordered
    delete patch[key]
  }
}

const goKind = (value: unknown): string => {
  if (isPlainObject(value)) return 'map[string]interface {}'
  return value === null ? '%!s(<nil>)' : ({ number: 'int64', boolean: 'bool' }[typeof value as string] ?? typeof value)
}

function dropNulls(value: unknown): void {
  if (Array.isArray(value)) for (const item of value) dropNulls(item)
  else if (isPlainObject(value))
    for (const key of Object.keys(value)) {
      if (value[key] === null) delete value[key]
      else dropNulls(value[key])
    }
}
