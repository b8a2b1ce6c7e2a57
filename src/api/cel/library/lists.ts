// Lists: Kubernetes' library (isSorted, sum, min, max, indexOf, lastIndexOf), cel-go's lists extension of version 3,
// and sets.

import { declare, type Library } from '../declarations.ts'
import { CelError, noSuchOverload } from '../problem.ts'
import { compare, Duration, equals, Uint } from '../values.ts'
import { duration, int, uint } from './arithmetic.ts'

const comparable = ['int', 'uint', 'double', 'bool', 'duration', 'timestamp', 'string', 'bytes']
const summable: [string, unknown][] = [
  ['int', 0n],
  ['uint', new Uint(0n)],
  ['double', 0],
  ['duration', new Duration(0n)],
]

const isSorted = (items: unknown[]): boolean => items.every((item, i) => i === 0 || compare(items[i - 1], item) <= 0)

function add(a: unknown, b: unknown): unknown {
  if (typeof a === 'bigint' && typeof b === 'bigint') return int(a + b)
  if (typeof a === 'number' && typeof b === 'number') return a + b
  if (a instanceof Uint && b instanceof Uint) return uint(a.value + b.value)
  if (a instanceof Duration && b instanceof Duration) return duration(a.ns + b.ns)
  throw noSuchOverload()
}

function extreme(name: string, sign: number) {
  return (items: unknown[]): unknown => {
    if (items.length === 0) throw new CelError(`${name} called on empty list`)
    return items.reduce((best, item) => (compare(item, best) * sign > 0 ? item : best))
  }
}

function slice(items: unknown[], start: bigint, end: bigint): unknown[] {
  const range = `cannot slice(${start}, ${end})`
  if (start < 0n || end < 0n) throw new CelError(`${range}, negative indexes not supported`)
  if (start > end) throw new CelError(`${range}, start index must be less than or equal to end index`)
  if (end > BigInt(items.length)) throw new CelError(`${range}, list is length ${items.length}`)
  return items.slice(Number(start), Number(end))
}

function flatten(items: unknown, depth = 1n): unknown[] {
  if (!Array.isArray(items)) throw noSuchOverload('flatten')
  if (depth < 0n) throw new CelError('level must be non-negative')
  return items.flat(Number(depth))
}

function sortBy(items: unknown[], keys: unknown[]): unknown[] {
  if (items.length !== keys.length) throw new CelError('list and keys are of different size')
  const order = keys.map((key, i) => [key, items[i]] as const)
  if (keys.some((key) => typeof key !== typeof keys[0])) throw new CelError('list elements must have the same type')
  return order.sort(([a], [b]) => compare(a, b)).map(([, item]) => item)
}

function distinct(items: unknown[]): unknown[] {
  const found: unknown[] = []
  for (const item of items) if (!found.some((other) => equals(other, item))) found.push(item)
  return found
}

const maxRange = 1_000_000n
function range(size: bigint): bigint[] {
  if (size > maxRange) throw new CelError(`lists.range: ${size} is more than ${maxRange}`)
  return Array.from({ length: Math.max(0, Number(size)) }, (_, i) => BigInt(i))
}

const contains = (items: unknown[], part: unknown[]): boolean =>
  part.every((item) => items.some((other) => equals(other, item)))

export const lists: Library = [
  ...comparable.flatMap((type) => [
    declare('isSorted', `list_${type}_is_sorted_bool`, `list(${type}).() bool`, isSorted),
    declare('min', `list_${type}_min_${type}`, `list(${type}).() ${type}`, extreme('min', -1)),
    declare('max', `list_${type}_max_${type}`, `list(${type}).() ${type}`, extreme('max', 1)),
    declare('sort', `list_${type}_sort`, `list(${type}).() list(${type})`, (items: unknown[]) => sortBy(items, items)),
    declare('@sortByAssociatedKeys', `list_${type}_sortByAssociatedKeys`, `list(A).(list(${type})) list(A)`, sortBy),
  ]),
  ...summable.map(([type, zero]) =>
    declare('sum', `list_${type}_sum_${type}`, `list(${type}).() ${type}`, (items: unknown[]) =>
      items.length === 0 ? zero : items.reduce(add),
    ),
  ),
  declare('indexOf', 'list_a_index_of_int', 'list(A).(A) int', (items: unknown[], item: unknown) =>
    BigInt(items.findIndex((other) => equals(other, item))),
  ),
  declare('lastIndexOf', 'list_a_last_index_of_int', 'list(A).(A) int', (items: unknown[], item: unknown) =>
    BigInt([...items].findLastIndex((other) => equals(other, item))),
  ),
  declare('slice', 'list_slice', 'list(A).(int, int) list(A)', slice),
  { ...declare('flatten', 'list_flatten', 'list(list(A)).() list(A)', flatten), unguarded: true },
  { ...declare('flatten', 'list_flatten_int', 'list(dyn).(int) list(dyn)', flatten), unguarded: true },
  declare('lists.range', 'lists_range', '(int) list(int)', range),
  declare('reverse', 'list_reverse', 'list(A).() list(A)', (items: unknown[]) => [...items].reverse()),
  declare('distinct', 'list_distinct', 'list(A).() list(A)', distinct),
  declare('sets.contains', 'list_sets_contains_list', '(list(A), list(A)) bool', contains),
  declare(
    'sets.equivalent',
    'list_sets_equivalent_list',
    '(list(A), list(A)) bool',
    (a: unknown[], b: unknown[]) => contains(a, b) && contains(b, a),
  ),
  declare('sets.intersects', 'list_sets_intersects_list', '(list(A), list(A)) bool', (a: unknown[], b: unknown[]) =>
    a.some((item) => b.some((other) => equals(other, item))),
  ),
]
