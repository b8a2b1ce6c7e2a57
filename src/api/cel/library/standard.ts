// CEL's standard functions and operators, as cel-go declares them.

import { declare, type Library } from '../declarations.ts'
import { CelError } from '../problem.ts'
import { type CelMap, compare, equals, lengthOf, SchemaList, TypeValue, typeName } from '../values.ts'
import { arithmetic } from './arithmetic.ts'
import { conversions } from './conversions.ts'
import { matches } from './regex.ts'

/** The operators that order two values. */
function ordering(): Library {
  const library: Library = []
  const numbers = ['int', 'uint', 'double']
  const others = ['bool', 'string', 'bytes', 'timestamp', 'duration']
  const ids: Record<string, string> = { int: 'int64', uint: 'uint64' }
  const operators: [string, string, (order: number) => boolean][] = [
    ['_<_', 'less', (order) => order < 0],
    ['_<=_', 'less_equals', (order) => order <= 0],
    ['_>_', 'greater', (order) => order > 0],
    ['_>=_', 'greater_equals', (order) => order >= 0],
  ]
  for (const [fn, id, holds] of operators) {
    const run = (a: unknown, b: unknown): boolean => holds(compare(a, b))
    for (const type of [...numbers, ...others]) {
      library.push(declare(fn, `${id}_${ids[type] ?? type}`, `(${type}, ${type}) bool`, run))
    }
    for (const a of numbers) {
      for (const b of numbers) {
        if (a !== b) library.push(declare(fn, `${id}_${ids[a] ?? a}_${ids[b] ?? b}`, `(${a}, ${b}) bool`, run))
      }
    }
  }
  return library
}

function sizes(): Library {
  const kinds: [string, string, (value: never) => number][] = [
    ['string', 'string', (value: string) => lengthOf(value)],
    ['bytes', 'bytes', (value: Uint8Array) => value.length],
    ['list', 'list(A)', (value: unknown[]) => value.length],
    ['map', 'map(A, B)', (value: CelMap) => value.size],
  ]
  return kinds.flatMap(([name, type, size]) => {
    const run = (value: unknown): bigint => BigInt(size(value as never))
    return [
      declare('size', `size_${name}`, `(${type}) int`, run),
      declare('size', `${name}_size`, `${type}.() int`, run),
    ]
  })
}

function concat(a: unknown[], b: unknown[]): unknown[] {
  if (!(a instanceof SchemaList)) return [...a, ...b]
  // x-kubernetes-list-type: what b identifies replaces what a has in place, the rest is appended.
  const replacing = new Map(b.map((item) => [a.keyOf(item), item]))
  const kept = [...a].map((item) => {
    const key = a.keyOf(item)
    const replacement = replacing.has(key) ? replacing.get(key) : item
    replacing.delete(key)
    return replacement
  })
  return SchemaList.create([...kept, ...replacing.values()], a.keyOf)
}

const not = (value: boolean): boolean => !value
const text = (run: (a: string, b: string) => unknown) => run

export const standard: Library = [
  declare('_?_:_', 'conditional', '(bool, A, A) A', () => undefined),
  declare('_&&_', 'logical_and', '(bool, bool) bool', () => undefined),
  declare('_||_', 'logical_or', '(bool, bool) bool', () => undefined),
  declare('!_', 'logical_not', '(bool) bool', not),
  declare('@not_strictly_false', 'not_strictly_false', '(bool) bool', () => undefined),
  declare('_==_', 'equals', '(A, A) bool', equals),
  declare('_!=_', 'not_equals', '(A, A) bool', (a: unknown, b: unknown) => !equals(a, b)),
  declare('_[_]', 'index_list', '(list(A), int) A', () => undefined),
  declare('_[_]', 'index_map', '(map(A, B), A) B', () => undefined),
  declare('@in', 'in_list', '(A, list(A)) bool', (value: unknown, members: unknown[]) =>
    members.some((member) => equals(member, value)),
  ),
  declare('@in', 'in_map', '(A, map(A, B)) bool', (key: unknown, map: CelMap) => map.has(key)),
  declare('_+_', 'add_list', '(list(A), list(A)) list(A)', concat),
  ...ordering(),
  ...arithmetic,
  ...sizes(),
  ...conversions,
  declare('type', 'type', '(A) type', (value: unknown) => new TypeValue(typeName(value))),
  declare('dyn', 'to_dyn', '(A) dyn', (value: unknown) => value),
  declare(
    'contains',
    'contains_string',
    'string.(string) bool',
    text((a, b) => a.includes(b)),
  ),
  declare(
    'startsWith',
    'starts_with_string',
    'string.(string) bool',
    text((a, b) => a.startsWith(b)),
  ),
  declare(
    'endsWith',
    'ends_with_string',
    'string.(string) bool',
    text((a, b) => a.endsWith(b)),
  ),
  declare('matches', 'matches', '(string, string) bool', matches),
  declare('matches', 'matches_string', 'string.(string) bool', matches),
  declare(
    'cel.@mapInsert',
    'map_insert_key',
    '(map(A, B), A, B) map(A, B)',
    (map: CelMap, key: unknown, value: unknown) => insert(map, key, value),
  ),
  declare('cel.@mapInsert', 'map_insert_map', '(map(A, B), map(A, B)) map(A, B)', (map: CelMap, other: CelMap) =>
    other.keys().reduce<CelMap>((result, key) => insert(result, key, other.get(key)), map),
  ),
]

function insert(map: CelMap, key: unknown, value: unknown): CelMap {
  if (!('with' in map)) throw new CelError('unsupported map insert')
  return (map as unknown as { with(key: unknown, value: unknown): CelMap }).with(key, value)
}

/** Names that stand for a type. */
export const typeNames = new Map<string, TypeValue>(
  ['bool', 'bytes', 'double', 'int', 'list', 'map', 'null_type', 'string', 'type', 'uint', 'optional_type']
    .concat(['google.protobuf.Timestamp', 'google.protobuf.Duration', 'net.IP', 'net.CIDR'])
    .concat(['URL', 'Quantity', 'Semver', 'NamedFormat'].map((name) => `kubernetes.${name}`))
    .map((name) => [name, new TypeValue(name)]),
)
