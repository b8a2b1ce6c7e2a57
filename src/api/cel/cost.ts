// What one call costs at run time, in cel-go's units (facts of Kubernetes 1.36, k8s.io/apiserver/pkg/cel/library/cost.go
// and cel-go's interpreter). The rules of CustomResourceDefinitions are held to these numbers.

import { byteLength } from './bytes.ts'
import type { Overload } from './declarations.ts'
import { CelMap, CelObject, costSize } from './values.ts'

export const stringFactor = 0.1
export const regexFactor = 0.25

const traversal = (value: unknown): number => Math.ceil(costSize(value) * stringFactor)
const nominal = (): number => 1

/** Functions whose cost does not depend on the overload. */
const byFunction: Record<string, (args: unknown[], result: unknown, id: string) => number> = {
  __proto__: null as never,
  check: () => 350_000,
  fieldSelector: ([, selector]) => selectorCost(costSize(selector)),
  labelSelector: ([, selector]) => selectorCost(costSize(selector)),
  join: (_args, result) => Math.ceil(costSize(result) * 2 * stringFactor),
  ip: ([value], _result, id) => (id === 'cidr_ip' ? 1 : traversal(value)),
  'ip.isCanonical': ([value]) => Math.ceil(costSize(value) * 2 * stringFactor),
  containsIP: ([cidr, other], _result, id) =>
    Math.ceil(costSize(cidr) * 2 * stringFactor) + (id === 'cidr_contains_ip_string' ? traversal(other) : 0),
  containsCIDR: ([cidr, other], _result, id) =>
    Math.ceil(costSize(cidr) * 2 * stringFactor) +
    traversal(cidr) +
    1 +
    (id === 'cidr_contains_cidr_string' ? traversal(other) : 0),
  validate: ([format, value]) => regex(value, (format as { maxRegexSize?: number }).maxRegexSize ?? 0),
  'sets.contains': (args) => sets(args, 1),
  'sets.intersects': (args) => sets(args, 1),
  'sets.equivalent': (args) => sets(args, 2),
  slice: (_args, result) => allocating(costSize(result)),
  'lists.range': (_args, result) => allocating(costSize(result)),
  flatten: ([list, depth]) => allocating(Math.floor(costSize(list) * Number(depth ?? 1))),
  distinct: ([list]) => selfCompare(list),
  sort: ([list]) => selfCompare(list),
  '@sortByAssociatedKeys': ([, keys]) => selfCompare(keys),
}
for (const name of ['isSorted', 'sum', 'max', 'min', 'indexOf', 'lastIndexOf', 'includes']) {
  byFunction[name] = ([value]) => dataTraversal(value)
}
const traversing =
  'url lowerAscii upperAscii substring trim jsonpatch.escapeKey cidr isIP isCIDR quantity isQuantity semver isSemver'
for (const name of traversing.split(' ')) byFunction[name] = ([value]) => traversal(value)
for (const name of ['replace', 'split']) byFunction[name] = ([value]) => Math.ceil(costSize(value) * 2 * stringFactor)
for (const name of ['find', 'findAll']) byFunction[name] = ([value, pattern]) => regex(value, costSize(pattern))

const equality = ([a, b]: unknown[]): number =>
  a instanceof CelObject ? 1 : Math.ceil(Math.min(costSize(a), costSize(b)) * stringFactor)
const ordered = ([a, b]: unknown[]): number => Math.ceil(Math.min(costSize(a), costSize(b)) * stringFactor)
const sum = ([a, b]: unknown[]): number => Math.ceil((costSize(a) + costSize(b)) * stringFactor)

const byOverload: Record<string, (args: unknown[]) => number> = {
  __proto__: null as never,
  starts_with_string: ([value]) => traversal(value),
  ends_with_string: ([value]) => traversal(value),
  string_to_bytes: ([value]) => traversal(value),
  bytes_to_string: ([value]) => traversal(value),
  strings_quote: ([value]) => traversal(value),
  string_format: ([value]) => traversal(value),
  in_list: ([, members]) => costSize(members),
  equals: equality,
  not_equals: ordered,
  add_string: sum,
  add_bytes: sum,
  matches: ([value, pattern]) => regex(value, costSize(pattern)),
  matches_string: ([value, pattern]) => regex(value, costSize(pattern)),
  contains_string: ([value, part]) => traversal(value) * traversal(part),
  list_reverse: (args) => allocating(costSize(args[0])),
}
for (const order of ['less', 'less_equals', 'greater', 'greater_equals']) {
  byOverload[`${order}_string`] = ordered
  byOverload[`${order}_bytes`] = ordered
}

export function callCost(overload: Overload, args: unknown[], result: unknown): number {
  const special = byFunction[overload.fn]
  if (special) return special(args, result, overload.id)
  return (byOverload[overload.id] ?? nominal)(args)
}

function regex(value: unknown, patternSize: number): number {
  return Math.ceil((1 + costSize(value)) * stringFactor) * Math.ceil(patternSize * regexFactor)
}

const allocating = (size: number): number => size + 11

function selfCompare(list: unknown): number {
  const items = list as unknown[]
  const factor = typeof items[0] === 'string' || items[0] instanceof Uint8Array ? 2.1 : 2
  return allocating(Math.floor(items.length ** 2 * factor))
}

const sets = ([a, b]: unknown[], factor: number): number => 1 + Math.floor(costSize(a) * costSize(b) * factor)

function selectorCost(length: number): number {
  return 10 + Math.ceil(length * stringFactor) + Math.ceil(Math.ceil(length * 0.5) * 50)
}

/** The cost of walking through a value, text and all. */
function dataTraversal(value: unknown): number {
  if (typeof value === 'string') return Math.floor(byteLength(value) * stringFactor)
  if (value instanceof Uint8Array) return Math.floor(value.length * stringFactor)
  if (Array.isArray(value)) return value.reduce<number>((cost, item) => cost + dataTraversal(item), 0)
  if (value instanceof CelMap) {
    return value.keys().reduce<number>((cost, key) => cost + dataTraversal(key) + dataTraversal(value.get(key)), 0)
  }
  return 1
}
