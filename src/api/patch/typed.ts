// Data seen through its schema the way field ownership sees it: what is a leaf, what merges, which list items are the
// same item. Comparing, merging, removing and listing fields. Rules of structured-merge-diff v4 typed.

import { equalJson, isPlainObject, own } from '../walk/plain.ts'
import { anyShape, type Shape } from '../walk/shape.ts'
import { type FieldNode, FieldSet, fieldStep, keyStep, leafNode, type Step, valueStep } from './field-set.ts'

export interface Comparison {
  added: FieldSet
  modified: FieldSet
  removed: FieldSet
}

type Form = 'map' | 'list' | 'scalar'

/** Undeclared data takes its form from the value; so does null, which counts as an empty map. */
function formOf(shape: Shape, value: unknown): Form {
  switch (shape.kind) {
    case 'object':
    case 'map':
      return 'map'
    case 'array':
      return 'list'
    case 'any':
      if (Array.isArray(value)) return 'list'
      return typeof value === 'object' ? 'map' : 'scalar'
    default:
      return 'scalar'
  }
}

/** A list without declared identity is one value. */
const isAtomicList = (shape: Shape): boolean => !shape.associative

const mapShape = (shape: Shape, name: string): Shape => shape.fields.get(name) ?? shape.values ?? anyShape

const itemShape = (shape: Shape): Shape => shape.items ?? anyShape

const asMap = (value: unknown): Record<string, unknown> | undefined => (isPlainObject(value) ? value : undefined)
const asList = (value: unknown): unknown[] | undefined => (Array.isArray(value) ? value : undefined)

function emptyMap(map: Record<string, unknown> | undefined): boolean {
  for (const _ in map) return false
  return true
}
const emptyList = (list: unknown[] | undefined): boolean => !list || list.length === 0

/** The step that leads to an item of an associative list. @throws Error when the item has no identity */
export function itemStep(item: unknown, list: Shape): Step {
  if (!list.listKeys.length) {
    if (item === null) throw new Error("associative list without keys has an element that's an explicit null")
    if (Array.isArray(item)) throw new Error('not supported: associative list with lists as elements')
    if (typeof item === 'object') throw new Error("associative list without keys has an element that's a map type")
    return valueStep(item)
  }
  if (item === null) throw new Error('associative list with keys may not have a null element')
  if (!isPlainObject(item)) throw new Error('associative list with keys may not have non-map elements')
  const key: Record<string, unknown> = {}
  for (const name of list.listKeys) {
    const value = own(item, name) ?? itemShape(list).fields.get(name)?.schema.default
    if (value !== undefined) key[name] = value
  }
  if (!Object.keys(key).length)
    throw new Error(
      `associative list with keys has an element that omits all key fields [${list.listKeys.map((name) => JSON.stringify(name)).join(' ')}] (and doesn't have default values for any key fields)`,
    )
  return keyStep(key)
}

/** Items by their step, in order of appearance; more than one where an identity repeats. */
function itemsByStep(list: unknown[] | undefined, shape: Shape): Map<Step, unknown[]> {
  const found = new Map<Step, unknown[]>()
  for (const item of list ?? []) {
    let step: Step
    try {
      step = itemStep(item, shape)
    } catch {
      continue
    }
    const same = found.get(step)
    if (same) same.push(item)
    else found.set(step, [item])
  }
  return found
}

/** What `right` adds, changes and removes against `left`. */
export function compareTyped(left: unknown, right: unknown, shape: Shape): Comparison {
  const result = { added: new FieldSet(), modified: new FieldSet(), removed: new FieldSet() }
  compareAt(left, right, shape, [], result)
  return result
}

function compareAt(left: unknown, right: unknown, shape: Shape, path: Step[], out: Comparison): void {
  if (left === right) return
  if (left === undefined) out.added.graft(path, wholeTree(right, shape))
  else if (right === undefined) out.removed.graft(path, wholeTree(left, shape))
  else {
    const [ours, theirs] = [formOf(shape, left), formOf(shape, right)]
    if (ours !== theirs) compareAs(ours, left, right, shape, path, out)
    compareAs(theirs, left, right, shape, path, out)
  }
}

/** Everything in something that is new or gone: each of its parts, and itself. */
function wholeTree(value: unknown, shape: Shape): FieldNode {
  const form = formOf(shape, value)
  if (form === 'scalar' || (form === 'map' ? shape.atomic : isAtomicList(shape))) return leafNode
  const below = new FieldSet()
  if (form === 'list') {
    const items = itemShape(shape)
    for (const [step, same] of itemsByStep(asList(value), shape))
      below.nodes.set(step, same.length > 1 ? leafNode : wholeTree(same[0], items))
  } else {
    const map = asMap(value) ?? {}
    for (const name of Object.keys(map))
      if (map[name] !== undefined) below.nodes.set(fieldStep(name), wholeTree(map[name], mapShape(shape, name)))
  }
  return below.empty ? leafNode : { member: true, below }
}

/** Both sides are there; the one that is not of this form counts as empty. */
function compareAs(form: Form, left: unknown, right: unknown, shape: Shape, path: Step[], out: Comparison): void {
  if (form === 'map') {
    const [ours, theirs] = [asMap(left), asMap(right)]
    if (shape.atomic || (emptyMap(ours) && emptyMap(theirs))) {
      compareLeaf(left, right, path, out)
      return
    }
    for (const name of Object.keys(ours ?? {}))
      compareBelow(fieldStep(name), own(ours!, name), theirs && own(theirs, name), mapShape(shape, name), path, out)
    for (const name of Object.keys(theirs ?? {}))
      if (!ours || own(ours, name) === undefined)
        compareBelow(fieldStep(name), undefined, own(theirs!, name), mapShape(shape, name), path, out)
    return
  }
  const [ours, theirs] = [asList(left), asList(right)]
  if (form === 'scalar' || isAtomicList(shape) || (emptyList(ours) && emptyList(theirs)))
    compareLeaf(left, right, path, out)
  else compareItems(itemsByStep(ours, shape), itemsByStep(theirs, shape), itemShape(shape), path, out)
}

function compareBelow(step: Step, left: unknown, right: unknown, shape: Shape, path: Step[], out: Comparison): void {
  path.push(step)
  compareAt(left, right, shape, path, out)
  path.pop()
}

function compareLeaf(left: unknown, right: unknown, path: Step[], out: Comparison): void {
  if (!equalJson(left, right)) out.modified.insert(path)
}

/** Repeated items are one value together: they count as added or removed when the repetition begins or ends. */
function compareItems(
  left: Map<Step, unknown[]>,
  right: Map<Step, unknown[]>,
  shape: Shape,
  path: Step[],
  out: Comparison,
): void {
  for (const step of new Set([...left.keys(), ...right.keys()])) {
    const ours = left.get(step) ?? []
    const theirs = right.get(step) ?? []
    if (ours.length <= 1 && theirs.length <= 1) compareBelow(step, ours[0], theirs[0], shape, path, out)
    else if (ours.length > 1 && theirs.length > 1) {
      if (!equalJson(ours, theirs)) out.modified.insert([...path, step])
    } else if (ours.length > 1) {
      if (theirs.length) compareBelow(step, undefined, theirs[0], shape, path, out)
      out.removed.insert([...path, step])
    } else {
      if (ours.length) compareBelow(step, ours[0], undefined, shape, path, out)
      out.added.insert([...path, step])
    }
  }
}

/** Every leaf and every list item of a value. */
export function fieldsOf(value: unknown, shape: Shape): FieldSet {
  return leafTree(value, shape)?.below ?? new FieldSet()
}

function leafTree(value: unknown, shape: Shape): FieldNode | undefined {
  const form = formOf(shape, value)
  if (form === 'scalar' || (form === 'map' ? shape.atomic : isAtomicList(shape))) return leafNode
  const below = new FieldSet()
  if (form === 'list') {
    const items = itemShape(shape)
    for (const [step, same] of itemsByStep(asList(value), shape)) {
      const tree = same.length > 1 ? undefined : leafTree(same[0], items)
      below.nodes.set(step, tree?.below ? { member: true, below: tree.below } : leafNode)
    }
  } else {
    const map = asMap(value) ?? {}
    for (const name of Object.keys(map)) addField(below, map[name], name, shape)
  }
  return below.empty ? undefined : { member: false, below }
}

/** Keys of a map, empty maps and nulls count themselves, not only what is in them. */
function addField(set: FieldSet, value: unknown, name: string, shape: Shape): void {
  if (value === undefined) return
  const tree = leafTree(value, mapShape(shape, name))
  const counts = value === null || (isPlainObject(value) && emptyMap(value)) || !shape.fields.has(name)
  if (tree) set.nodes.set(fieldStep(name), counts && !tree.member ? { member: true, below: tree.below } : tree)
  else if (counts) set.nodes.set(fieldStep(name), leafNode)
}

/** `right` laid over `left`: leaves of `right` win, nothing is removed. Undefined when there is nothing. */
export function mergeTyped(left: unknown, right: unknown, shape: Shape): unknown {
  if (right === undefined) return left
  const form = formOf(shape, right)
  if (form === 'map') {
    const [ours, theirs] = [asMap(left), asMap(right)]
    if (shape.atomic || (emptyMap(ours) && emptyMap(theirs))) return right
    const out: Record<string, unknown> = {}
    for (const name of new Set([...Object.keys(ours ?? {}), ...Object.keys(theirs ?? {})])) {
      const merged = mergeTyped(ours && own(ours, name), theirs && own(theirs, name), mapShape(shape, name))
      if (merged !== undefined) out[name] = merged
    }
    return out
  }
  const [ours, theirs] = [asList(left), asList(right)]
  if (form === 'scalar' || isAtomicList(shape) || (emptyList(ours) && emptyList(theirs))) return right
  return mergeItems(ours ?? [], theirs ?? [], shape)
}

/**
 * The order of `right` for what both have and for what is new; items that only `left` has stay between the same
 * neighbours.
 */
function mergeItems(left: unknown[], right: unknown[], shape: Shape): unknown[] {
  const oursByStep = itemsByStep(left, shape)
  const theirs = [...itemsByStep(right, shape)]
  const theirSteps = new Set(theirs.map(([step]) => step))
  const shared = theirs.map(([step]) => step).filter((step) => oursByStep.has(step))
  const merged = new Set<Step>()
  const out: unknown[] = []
  const takeTheirs = ([step, items]: [Step, unknown[]]) => {
    const ours = oursByStep.get(step)
    merged.add(step)
    // A repeated item of ours is replaced, not merged.
    out.push(mergeTyped(ours?.length === 1 ? ours[0] : undefined, items[0], itemShape(shape)))
  }
  const ours = left.map((item) => [safeStep(item, shape), item] as const)
  let next = 0
  let [l, r] = [0, 0]
  while (l < ours.length || r < theirs.length) {
    const mine = ours[l]
    if (mine && r < theirs.length) {
      if (mine[0] === theirs[r]![0]) {
        takeTheirs(theirs[r++]!)
        l++
        next++
        continue
      }
      if (mine[0] !== undefined && theirSteps.has(mine[0]) && next < shared.length && shared[next] !== mine[0]) {
        l++
        continue
      }
    }
    if (mine) {
      if (mine[0] === undefined || !theirSteps.has(mine[0])) {
        out.push(mine[1])
        l++
        continue
      }
      if (merged.has(mine[0])) l++
    }
    if (r < theirs.length) {
      const step = theirs[r]![0]
      takeTheirs(theirs[r++]!)
      if (shared[next] === step) next++
    }
  }
  return out
}

function safeStep(item: unknown, shape: Shape): Step | undefined {
  try {
    return itemStep(item, shape)
  } catch {
    return undefined
  }
}

/** The value without the fields of the set. What becomes empty by that is null, as upstream, so that it stays visible. */
export function removeFields(value: unknown, set: FieldSet, shape: Shape): unknown {
  const form = formOf(shape, value)
  if (form === 'scalar') return value
  if (form === 'list') {
    const list = asList(value)
    if (emptyList(list) || isAtomicList(shape)) return null
    const kept: unknown[] = []
    for (const item of list!) {
      const step = safeStep(item, shape)
      if (step !== undefined && set.has(step)) continue
      const below = step === undefined ? undefined : set.below(step)
      kept.push(below ? removeFields(item, below, itemShape(shape)) : item)
    }
    return kept.length ? kept : null
  }
  const map = asMap(value)
  if (emptyMap(map) || shape.atomic) return null
  const kept: Record<string, unknown> = {}
  for (const [name, part] of Object.entries(map!)) {
    const step = fieldStep(name)
    if (set.has(step) || part === undefined) continue
    const below = set.below(step)
    kept[name] = below ? removeFields(part, below, mapShape(shape, name)) : part
  }
  return Object.keys(kept).length ? kept : null
}

/** Makes the declared fields on the way to each path members too: removing them is what removes an emptied parent. */
export function withNamedParents(set: FieldSet, shape: Shape | undefined): FieldSet {
  return set.withMembers(
    (step) => step[0] === 'f' && shape?.fields.has(step.slice(2)) === true,
    (step, below) => withNamedParents(below, shape && shapeBelow(shape, step)),
  )
}

function shapeBelow(shape: Shape, step: Step): Shape | undefined {
  if (step[0] === 'f') return shape.fields.get(step.slice(2)) ?? shape.values
  return step[0] === 'k' ? shape.items : undefined
}

/** Ownership recorded when a list or map was granular, seen now that it is atomic: the whole is owned. */
export function settleAtomics(set: FieldSet, shape: Shape): FieldSet {
  if (set.settledFor === shape) return set
  const changed = FieldSet.of()
  const gone = FieldSet.of()
  findAtomics(set, shape, [], gone, changed)
  const result = changed.empty ? set : set.recursiveDifference(gone).union(changed)
  result.settledFor = shape
  return result
}

function findAtomics(set: FieldSet, shape: Shape, path: Step[], gone: FieldSet, whole: FieldSet): void {
  for (const [step, node] of set.nodes) {
    const below = shapeBelow(shape, step)
    if (!node.below || !below) continue
    const here = [...path, step]
    const atomic = below.kind === 'array' ? isAtomicList(below) : below.atomic
    if (atomic) {
      gone.insert(here)
      whole.insert(here)
    } else findAtomics(node.below, below, here, gone, whole)
  }
}
