// What one call costs at least and at most, without its arguments: Kubernetes' functions (library/cost.go, 1.36) and
// those of cel-go whose cost depends on sizes.

import type { Call, Expr } from './ast.ts'
import { regexFactor, stringFactor } from './cost.ts'
import { add, type Cost, fixed, fixedSize, largest, type Range, scale, times } from './range.ts'
import type { Type } from './types.ts'

export interface Estimated {
  cost: Cost
  /** The size of the result. */
  size?: Range
}
export interface Estimator {
  sizeOf(expr: Expr): Range
  itemSize(list: Expr): { type: Type; size: Range } | undefined
}
type Rule = (call: Call, sizes: Estimator, id: string) => Estimated | undefined

const one: Estimated = { cost: fixed(1) }
const traversal = (size: Range): Cost => scale(size, stringFactor)

const rules: Record<string, Rule> = {
  __proto__: null as never,
  check: () => ({ cost: fixed(350_000) }),
  replace,
  join,
  split(call, sizes) {
    const size = sizes.sizeOf(call.target!)
    const limit = call.args[1]
    const max = limit?.kind === 'literal' && typeof limit.value === 'bigint' ? asCount(limit.value) : size.max
    return { cost: scale(size, 2 * stringFactor), size: { min: 0, max } }
  },
  ip: (call, sizes, id) => (id === 'cidr_ip' ? one : { cost: traversal(sizes.sizeOf(call.args[0]!)) }),
  'ip.isCanonical': (call, sizes) => ({ cost: scale(sizes.sizeOf(call.args[0]!), 2 * stringFactor) }),
  containsIP: (call, sizes, id) => ({ cost: addresses(call, sizes, id === 'cidr_contains_ip_string') }),
  containsCIDR(call, sizes, id) {
    const masked = add(traversal({ min: 4, max: 16 }), fixed(1))
    return { cost: add(addresses(call, sizes, id === 'cidr_contains_cidr_string'), masked) }
  },
  validate: (call, sizes) => ({ cost: scale(traversal(sizes.sizeOf(call.args[0]!)), 128 * regexFactor) }),
  '_==_': opaqueEquality,
  'sets.contains': (call, sizes) => sets(call, sizes, 1),
  'sets.intersects': (call, sizes) => sets(call, sizes, 1),
  'sets.equivalent': (call, sizes) => sets(call, sizes, 2),
  slice(call, sizes) {
    const start = literalCount(call.args[0]!, 0)
    return allocating(1, fixedSize(Math.max(0, literalCount(call.args[1]!, sizes.sizeOf(call.target!).max) - start)))
  },
  'lists.range': (call) => allocating(1, fixedSize(literalCount(call.args[0]!, largest))),
  reverse: (call, sizes) => allocating(1, sizes.sizeOf(call.target!)),
  flatten(call, sizes) {
    const depth = call.args.length === 1 ? literalCount(call.args[0]!, largest) : 1
    return allocating(depth, sizes.sizeOf(call.target!))
  },
  distinct: (call, sizes) => allocating(2, times(sizes.sizeOf(call.target!), sizes.sizeOf(call.target!))),
  sort: (call, sizes, id) => sorting(sizes.sizeOf(call.target!), id),
  '@sortByAssociatedKeys': (call, sizes, id) => sorting(sizes.sizeOf(call.args[0]!), id),
}
for (const name of 'serviceAccount path group resource subresource namespace name allowed reason error errored'.split(
  ' ',
)) {
  rules[name] = () => one
}
for (const name of ['fieldSelector', 'labelSelector']) {
  rules[name] = (call, sizes) => {
    const size = sizes.sizeOf(call.args[0]!)
    return { cost: add(add(fixed(10), traversal(size)), scale(scale(size, 0.5), 50)) }
  }
}
for (const name of ['isSorted', 'sum', 'max', 'min', 'indexOf', 'lastIndexOf', 'includes']) rules[name] = overItems
for (const name of ['url', 'jsonpatch.escapeKey']) rules[name] = (call, sizes) => keepsSize(sizes.sizeOf(call.args[0]!))
for (const name of ['lowerAscii', 'upperAscii', 'substring', 'trim']) {
  rules[name] = (call, sizes) => keepsSize(sizes.sizeOf(call.target!))
}
for (const name of ['find', 'findAll']) {
  rules[name] = (call, sizes) => ({
    cost: regexCost(call, sizes),
    size: { min: 0, max: sizes.sizeOf(call.target!).max },
  })
}
for (const name of 'cidr isIP isCIDR quantity isQuantity semver isSemver'.split(' ')) {
  rules[name] = (call, sizes) => ({ cost: traversal(sizes.sizeOf(call.args[0]!)) })
}

const overloads: Record<string, Rule> = {
  __proto__: null as never,
  string_format: (call, sizes) => ({ cost: traversal(sizes.sizeOf(call.target!)) }),
  string_to_bytes(call, sizes) {
    const size = sizes.sizeOf(call.args[0]!)
    return { cost: traversal(size), size: { min: size.min, max: size.max * 4 } }
  },
  bytes_to_string(call, sizes) {
    const size = sizes.sizeOf(call.args[0]!)
    return { cost: traversal(size), size: { min: Math.floor(size.min / 4), max: size.max } }
  },
  strings_quote(call, sizes) {
    const size = sizes.sizeOf(call.args[0]!)
    return { cost: traversal(size), size: { min: size.min + 2, max: size.max * 2 + 2 } }
  },
  starts_with_string: (call, sizes) => ({ cost: traversal(sizes.sizeOf(call.args[0]!)) }),
  ends_with_string: (call, sizes) => ({ cost: traversal(sizes.sizeOf(call.args[0]!)) }),
  in_list: (call, sizes) => ({ cost: sizes.sizeOf(call.args[1]!) }),
  matches_string: (call, sizes) => ({ cost: regexCost(call, sizes) }),
  contains_string: (call, sizes) => ({
    cost: times(traversal(sizes.sizeOf(call.target!)), traversal(sizes.sizeOf(call.args[0]!))),
  }),
  add_list: (call, sizes) => ({ cost: fixed(1), size: add(sizes.sizeOf(call.args[0]!), sizes.sizeOf(call.args[1]!)) }),
  add_string: concatenation,
  add_bytes: concatenation,
  equals: comparison,
  not_equals: comparison,
}
for (const order of ['less', 'less_equals', 'greater', 'greater_equals']) {
  overloads[`${order}_string`] = comparison
  overloads[`${order}_bytes`] = comparison
}

export function callEstimate(call: Call, id: string, sizes: Estimator): Estimated {
  return rules[call.fn]?.(call, sizes, id) ?? overloads[id]?.(call, sizes, id) ?? one
}

const keepsSize = (size: Range): Estimated => ({ cost: traversal(size), size })

function concatenation(call: Call, sizes: Estimator): Estimated {
  return keepsSize(add(sizes.sizeOf(call.args[0]!), sizes.sizeOf(call.args[1]!)))
}

function comparison(call: Call, sizes: Estimator): Estimated {
  const max = Math.min(sizes.sizeOf(call.args[0]!).max, sizes.sizeOf(call.args[1]!).max)
  return { cost: traversal({ min: max > 0 ? 1 : 0, max }) }
}

function opaqueEquality(call: Call): Estimated | undefined {
  const [a, b] = call.args.map((arg) => arg.type!) as [Type, Type]
  if (a.name !== b.name || (a.kind !== 'opaque' && a.kind !== 'struct')) return undefined
  if (a.name === 'kubernetes.NamedFormat') return { cost: traversal({ min: 1, max: 64 }) }
  if (a.name === 'kubernetes.URL') return { cost: fixed(1) }
  return a.name.startsWith('kubernetes.') || a.kind === 'opaque' ? one : undefined
}

function regexCost(call: Call, sizes: Estimator): Cost {
  const text = traversal(add(sizes.sizeOf(call.target!), fixed(1)))
  return times(text, scale(sizes.sizeOf(call.args[0]!), regexFactor))
}

/** sum, min, indexOf …: each item once, and through its text. */
function overItems(call: Call, sizes: Estimator): Estimated | undefined {
  if (!call.target) return undefined
  const size = sizes.sizeOf(call.target)
  const item = sizes.itemSize(call.target)
  if (!item) return { cost: call.fn === 'includes' ? size : traversal(size) }
  const text = item.type.kind === 'string' || item.type.kind === 'bytes'
  return { cost: times(size, text ? add(fixed(1), traversal(item.size)) : fixed(1)) }
}

function join(call: Call, sizes: Estimator): Estimated {
  const count = sizes.sizeOf(call.target!)
  const item = sizes.itemSize(call.target!)
  let size: Range = item ? times(count, item.size) : fixed(0)
  if (call.args.length > 0) {
    const separators = { min: Math.max(0, count.min - 1), max: Math.max(0, count.max - 1) }
    size = add(size, times(sizes.sizeOf(call.args[0]!), separators))
  }
  return keepsSize(size)
}

function replace(call: Call, sizes: Estimator): Estimated {
  const size = sizes.sizeOf(call.target!)
  const [from, to] = [sizes.sizeOf(call.args[0]!), sizes.sizeOf(call.args[1]!)]
  const count = { min: 0, max: 0 }
  const kept = { min: 0, max: 0 }
  // The longest result.
  if (from.min === 0) {
    count.max = Math.min(largest, size.max + 1)
    kept.max = size.max
  } else if (to.max <= from.min) kept.max = size.max
  else count.max = Math.ceil(size.max / from.min)
  // The shortest.
  if (from.max === 0) {
    count.min = Math.min(largest, size.min + 1)
    kept.min = size.min
  } else if (from.max <= to.min) kept.min = size.min
  else count.min = Math.ceil(size.min / from.max)
  return { cost: scale(size, 2 * stringFactor), size: add(times(count, to), kept) }
}

function addresses(call: Call, sizes: Estimator, parsed: boolean): Cost {
  const compared = traversal({ min: 8, max: 32 })
  return parsed ? add(compared, traversal(sizes.sizeOf(call.args[0]!))) : compared
}

function sets(call: Call, sizes: Estimator, factor: number): Estimated {
  return { cost: add(scale(times(sizes.sizeOf(call.args[0]!), sizes.sizeOf(call.args[1]!)), factor), fixed(1)) }
}

const allocating = (factor: number, size: Range): Estimated => ({ cost: add(scale(size, factor), fixed(11)), size })

const sorting = (size: Range, id: string): Estimated =>
  allocating(/^list_(string|bytes)_/.test(id) ? 2 + stringFactor : 2, times(size, size))

const asCount = (value: bigint): number => (value < 0n ? 0 : Number(value))
const literalCount = (expr: Expr, otherwise: number): number =>
  expr.kind === 'literal' && typeof expr.value === 'bigint' ? asCount(expr.value) : otherwise
