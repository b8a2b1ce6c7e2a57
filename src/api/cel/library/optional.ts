// Optional values: optional.of, orValue and their kin; `a.?b` and `a[?b]` are operators.

import { declare, type Library } from '../declarations.ts'
import { CelMap, Duration, Optional, Timestamp, Uint } from '../values.ts'

/** Go's zero time. */
const firstMoment = BigInt(Date.parse('0001-01-01T00:00:00Z')) * 1_000_000n

function isZero(value: unknown): boolean {
  if (value === null || value === false || value === '' || value === 0 || value === 0n) return true
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0
  if (value instanceof CelMap) return value.size === 0
  if (value instanceof Uint) return value.value === 0n
  if (value instanceof Duration) return value.ns === 0n
  if (value instanceof Timestamp) return value.ns === firstMoment
  return value instanceof Optional && !value.present
}

const unwrap = (items: Optional[]): unknown[] => items.filter((item) => item.present).map((item) => item.value)
const ofAny = (items: unknown[], index: number): Optional => {
  const value = items.at(index)
  return value === undefined ? Optional.none : Optional.of(value)
}

export const optionals: Library = [
  declare('optional.of', 'optional_of', '(V) optional(V)', Optional.of),
  declare('optional.ofNonZeroValue', 'optional_ofNonZeroValue', '(V) optional(V)', (value: unknown) =>
    isZero(value) ? Optional.none : Optional.of(value),
  ),
  declare('optional.none', 'optional_none', '() optional(V)', () => Optional.none),
  declare('optional.unwrap', 'optional_unwrap', '(list(optional(V))) list(V)', unwrap),
  declare('unwrapOpt', 'optional_unwrapOpt', 'list(optional(V)).() list(V)', unwrap),
  declare('value', 'optional_value', 'optional(V).() V', (optional: Optional) => optional.value),
  declare('hasValue', 'optional_hasValue', 'optional(V).() bool', (optional: Optional) => optional.present),
  declare('or', 'optional_or_optional', 'optional(V).(optional(V)) optional(V)', (a: Optional, b: Optional) =>
    a.present ? a : b,
  ),
  declare('orValue', 'optional_orValue_value', 'optional(V).(V) V', (optional: Optional, value: unknown) =>
    optional.present ? optional.value : value,
  ),
  declare('first', 'list_first', 'list(V).() optional(V)', (items: unknown[]) => ofAny(items, 0)),
  declare('last', 'list_last', 'list(V).() optional(V)', (items: unknown[]) => ofAny(items, -1)),
  declare('_?._', 'select_optional_field', '(dyn, string) optional(V)', () => undefined),
  declare('_[?_]', 'list_optindex_optional_int', '(list(V), int) optional(V)', () => undefined),
  declare('_[?_]', 'optional_list_optindex_optional_int', '(optional(list(V)), int) optional(V)', () => undefined),
  declare('_[?_]', 'map_optindex_optional_value', '(map(K, V), K) optional(V)', () => undefined),
  declare('_[?_]', 'optional_map_optindex_optional_value', '(optional(map(K, V)), K) optional(V)', () => undefined),
  declare('_[_]', 'optional_list_index_int', '(optional(list(V)), int) optional(V)', () => undefined),
  declare('_[_]', 'optional_map_index_value', '(optional(map(K, V)), K) optional(V)', () => undefined),
]
