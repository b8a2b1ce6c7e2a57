// Lists in a strategic merge patch: merging by key, deleting by key, and the order of the result (the patch's own order
// first, items that only the server has stay where they were between them). Rules of apimachinery util/strategicpatch.

import { ApiError } from '../errors.ts'
import { isPlainObject, own } from '../walk/plain.ts'
import { anyShape, type Shape } from '../walk/shape.ts'

type Fields = Record<string, unknown>

/** Merges one map into another, used up; handed in, because maps hold lists and lists hold maps. */
type MergeMaps = (original: Fields, patch: Fields, shape: Shape) => Fields

export const directive = '$patch'

/** What a patch that does not fit is answered with. */
export const invalidPatch = (problem: string): ApiError => new ApiError('Invalid', problem)

export const badFormat = (what: string): ApiError => new ApiError('BadRequest', `invalid patch format of ${what}`)

const strategies = (shape: Shape | undefined): string[] => shape?.schema.patchStrategy?.split(',') ?? []

/** The strategy beside retainKeys. */
export const strategyOf = (shape: Shape | undefined): string =>
  strategies(shape).find((strategy) => strategy !== 'retainKeys') ?? ''

/** Undefined when the value itself is marked. */
export function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDirectives).filter((item) => item !== undefined)
  if (!isPlainObject(value)) return value
  if (Object.hasOwn(value, directive)) return undefined
  for (const key of Object.keys(value)) {
    const kept = withoutDirectives(value[key])
    if (kept === undefined) delete value[key]
    else value[key] = kept
  }
  return value
}

/** Merges two lists of a field whose strategy is "merge". */
export const mergeList = (live: unknown[], patch: unknown[], field: Shape, mergeMaps: MergeMaps): unknown[] =>
  mergeLists(live, patch, field, mergeMaps).list

/** The merged list, and the order that stands for the live one afterwards. */
function mergeLists(
  live: unknown[],
  patch: unknown[],
  field: Shape,
  mergeMaps: MergeMaps,
): { list: unknown[]; liveOrder: unknown[] } {
  if (!live.length && !patch.length) return { list: live, liveOrder: live }
  if (!holdsMaps(live, patch)) {
    const merged = [...new Set([...live, ...patch])]
    return { list: ordered(merged, patch, live, ''), liveOrder: live }
  }
  const key = field.schema.patchMergeKey ?? ''
  if (!key) throw invalidPatch(`cannot merge lists without merge key for ${field.typeName ?? 'list'}`)
  const { kept, changes, replaces } = applyItemDirectives(live as Fields[], patch as Fields[], key)
  const merged = mergeItems(kept, changes, key, (item, change) => mergeMaps(item, change, field.items ?? anyShape))
  // Upstream deletes and appends in the live list's own memory: new items count as live where deleted ones made room.
  const liveOrder = replaces ? live : merged.slice(0, live.length)
  return { list: ordered(merged, changes, kept, key), liveOrder }
}

/** A list and its "$setElementOrder": undefined when there is neither a live list nor changes. */
export function orderList(
  live: unknown[] | undefined,
  changes: unknown[] | undefined,
  order: unknown[],
  field: Shape,
  mergeMaps: MergeMaps,
): unknown[] | undefined {
  const key = field.schema.patchMergeKey ?? ''
  checkOrder(changes ?? [], order, key)
  if (!live && !changes) return undefined
  if (!changes) return ordered(live!, order, live!, key)
  if (!live) return ordered(withoutDirectives(changes) as unknown[], order, [], key)
  if (strategyOf(field) !== 'merge') return ordered(changes, order, live, key)
  const { list, liveOrder } = mergeLists(live, changes, field, mergeMaps)
  return ordered(list, order, liveOrder, key)
}

/** Items of the patch must follow each other as the order says. */
function checkOrder(changes: unknown[], order: unknown[], key: string): void {
  if (!order.length || !changes.length) return
  const listed = changes.filter((item) => !(isPlainObject(item) && Object.hasOwn(item, directive)))
  let next = 0
  for (const place of order) {
    if (next < listed.length && identity(listed[next], key) === identity(place, key)) next++
  }
  if (next < listed.length)
    throw invalidPatch(
      `The order in patch list:\n${JSON.stringify(changes)}\n doesn't match $setElementOrder list:\n${JSON.stringify(order)}\n`,
    )
}

/** What tells an item from its siblings: the merge key's value, or a scalar itself. */
function identity(item: unknown, key: string): unknown {
  if (!key) return item
  if (!isPlainObject(item)) throw invalidPatch(`expected a map[string]interface {}, but received a ${typeof item}`)
  if (!Object.hasOwn(item, key)) throw noMergeKey(item, key)
  return item[key]
}

const noMergeKey = (item: Fields, key: string) =>
  invalidPatch(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`)

/** All items must be maps, or all scalars of one type. */
function holdsMaps(...lists: unknown[][]): boolean {
  const kinds = new Set(lists.flat().map(kindOf))
  if (lists.some((list) => list.some(Array.isArray))) throw invalidPatch('lists of lists are not supported')
  if (kinds.size > 1) throw invalidPatch(`list element types are not identical: ${JSON.stringify(lists)}`)
  return kinds.has('map')
}

const kindOf = (item: unknown): string => (isPlainObject(item) ? 'map' : Array.isArray(item) ? 'list' : typeof item)

/** Items with a "$patch" directive delete their like or say that the patch replaces the whole list. */
function applyItemDirectives(
  live: Fields[],
  patch: Fields[],
  key: string,
): { kept: Fields[]; changes: Fields[]; replaces: boolean } {
  let kept = live
  let replaces = false
  const changes: Fields[] = []
  for (const item of patch) {
    if (!Object.hasOwn(item, directive)) {
      changes.push(item)
      continue
    }
    const value = item[directive]
    if (value === 'delete') {
      if (!Object.hasOwn(item, key)) throw noMergeKey(item, key)
      kept = kept.filter((one) => own(one, key) !== item[key])
    } else if (value === 'replace') replaces = true
    else if (value === 'merge') throw invalidPatch('merging lists cannot yet be specified in the patch')
    else throw invalidPatch(`unknown patch type: ${String(value)} in map: ${JSON.stringify(item)}`)
  }
  return replaces ? { kept: changes, changes: [], replaces } : { kept, changes, replaces }
}

function mergeItems(
  live: Fields[],
  changes: Fields[],
  key: string,
  merge: (item: Fields, change: Fields) => Fields,
): Fields[] {
  const merged = [...live]
  // The first of several items with the same key is the one that is changed, as upstream.
  const places = new Map<unknown, number>()
  for (const [index, item] of merged.entries()) {
    const name = own(item, key)
    if (name !== undefined && !places.has(name)) places.set(name, index)
  }
  for (const change of changes) {
    const name = identity(change, key)
    const place = places.get(name)
    if (place !== undefined) merged[place] = merge(merged[place]!, change)
    else {
      places.set(name, merged.length)
      merged.push(change)
    }
  }
  return merged
}

/**
 * Puts the items that `order` names into its order, and each other one after the items that stood before it in the
 * live list.
 */
function ordered(merged: unknown[], order: unknown[], live: unknown[], key: string): unknown[] {
  const wanted = positions(order, key)
  const before = positions(live, key)
  const place = (item: unknown, among: Map<unknown, number>) => among.get(keyOf(item, key))
  const named = merged.filter((item) => place(item, wanted) !== undefined)
  const others = merged.filter((item) => place(item, wanted) === undefined)
  stableSort(named, (item) => place(item, wanted) ?? 0)
  stableSort(others, (item) => place(item, before) ?? 0)
  const result: unknown[] = []
  let first = 0
  for (const item of named) {
    const livePlace = place(item, before)
    // A new item, which has no place in the live list, goes in front of what the server alone has.
    for (; livePlace !== undefined && first < others.length; first++) {
      const otherPlace = place(others[first], before)
      if (otherPlace === undefined || otherPlace >= livePlace) break
      result.push(others[first])
    }
    result.push(item)
  }
  return [...result, ...others.slice(first)]
}

function keyOf(item: unknown, key: string): unknown {
  if (!key) return item
  const value = isPlainObject(item) ? own(item, key) : undefined
  if (value === undefined) throw noMergeKey(isPlainObject(item) ? item : {}, key)
  return value
}

function positions(list: unknown[], key: string): Map<unknown, number> {
  const found = new Map<unknown, number>()
  for (const [index, item] of list.entries()) {
    const value = key ? (isPlainObject(item) ? own(item, key) : undefined) : item
    if (value !== undefined && !found.has(value)) found.set(value, index)
  }
  return found
}

const stableSort = (list: unknown[], rank: (item: unknown) => number): void => {
  list.sort((a, b) => rank(a) - rank(b))
}
