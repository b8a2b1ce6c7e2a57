// Which fields of a kind Tandem refuses by name, and which it takes although nothing acts on them (with a warning): data,
// by type and field, that the server checks on every write and that docs/kinds.md is made from.

import type { FieldError } from './errors.ts'
import type { KindDefinition } from './kind.ts'
import type { ApiObject } from './meta.ts'
import { equalJson, isPlainObject } from './walk/plain.ts'
import { forbidden } from './walk/rules.ts'
import { objectShape, type Shape } from './walk/shape.ts'

export interface FieldSupport {
  has: 'refused' | 'no effect'
  /** Ends a sentence that begins with the field's name: what is the matter, and what to do instead. */
  why: string
  /** The values that meet it, where it is not all of them; `values` says so in the docs. */
  only?: (value: any) => boolean
  values?: string
}

/**
 * By "<type>.<field>", e.g. "core.v1.PodSpec.hostUsers": wherever the type is part of an object; by "<Kind>.<field>" for a
 * field that stands in the object itself.
 */
export type SupportTable = Record<string, FieldSupport>

export interface SupportEntry extends FieldSupport {
  /** '[]' stands for each item of a list, '{}' for each value of a map. */
  path: readonly string[]
  type: string
  field: string
}

/** The fields of a kind that the table names, by their paths. */
export function supportEntries(
  kind: Pick<KindDefinition, 'kind' | 'schema' | 'types'>,
  table: SupportTable,
): SupportEntry[] {
  const entries: SupportEntry[] = []
  const above = new Set<string>()
  const walk = (shape: Shape, path: string[]): void => {
    const type = path.length === 0 ? kind.kind : shape.typeName
    // A type may hold itself: once is enough to find it.
    if (type && above.has(type)) return
    if (type) above.add(type)
    for (const [name, field] of shape.fields) {
      const at = [...path, name]
      const support = type && Object.hasOwn(table, `${type}.${name}`) ? table[`${type}.${name}`] : undefined
      if (support && type) entries.push({ ...support, path: at, type, field: name })
      if (support?.has !== 'refused' || support.only) walk(field, at)
    }
    if (shape.items) walk(shape.items, [...path, '[]'])
    if (shape.values) walk(shape.values, [...path, '{}'])
    if (type) above.delete(type)
  }
  walk(objectShape(kind), [])
  return entries
}

/** What the entries say of an object. A value that was there before the write is left in peace. */
export function checkSupport(
  entries: readonly SupportEntry[],
  object: ApiObject,
  old?: ApiObject,
): { refused: FieldError[]; warnings: string[] } {
  const refused: FieldError[] = []
  const warnings: string[] = []
  for (const entry of entries) {
    for (const { field, value } of valuesAt(object, old, entry.path)) {
      if (entry.only ? !entry.only(value) : value === false) continue
      if (entry.has === 'refused') refused.push(forbidden(field, entry.why))
      else warnings.push(`${field} has no effect: ${entry.why}`)
    }
  }
  return { refused, warnings }
}

function* valuesAt(
  value: unknown,
  old: unknown,
  path: readonly string[],
  field = '',
): Generator<{ field: string; value: unknown }> {
  if (saysNothing(value)) return
  const [step, ...rest] = path
  if (step === undefined) {
    if (!equalJson(value, old)) yield { field, value }
  } else if (step === '[]') {
    if (!Array.isArray(value)) return
    for (const [index, item] of value.entries())
      yield* valuesAt(item, Array.isArray(old) ? old[index] : undefined, rest, `${field}[${index}]`)
  } else if (isPlainObject(value)) {
    const before = isPlainObject(old) ? old : {}
    for (const name of step === '{}' ? Object.keys(value) : [step]) {
      const at = step === '{}' ? `${field}[${name}]` : field ? `${field}.${name}` : name
      yield* valuesAt(value[name], before[name], rest, at)
    }
  }
}

/** Absent or empty: asks for nothing. */
const saysNothing = (value: unknown): boolean =>
  value === undefined || value === null || value === '' || (Array.isArray(value) && value.length === 0)
