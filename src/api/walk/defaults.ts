// Sets the constant defaults of a schema, in place, as structural defaulting does upstream (apiextensions 1.32): a
// field that is missing, or null where null is not allowed, gets a copy of its default; then its own fields get theirs.

import { copyJson, isPlainObject } from './plain.ts'
import type { Shape } from './shape.ts'

export function applyDefaults(value: unknown, shape: Shape): void {
  if (!shape.hasDefaults || typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    if (shape.items?.hasDefaults) defaultItems(value, shape.items)
    return
  }
  if (!isPlainObject(value)) return
  for (const [name, field] of shape.defaulted) {
    const present = Object.hasOwn(value, name) ? value[name] : undefined
    if (present === undefined || (present === null && !field.schema.nullable))
      value[name] = copyJson(field.schema.default)
  }
  for (const [name, field] of shape.deeperDefaults) {
    if (Object.hasOwn(value, name)) applyDefaults(value[name], field)
  }
  if (shape.values?.hasDefaults) defaultUndeclared(value, shape)
}

function defaultItems(list: unknown[], items: Shape): void {
  for (let index = 0; index < list.length; index++) {
    if (list[index] === null && !items.schema.nullable && items.schema.default !== undefined)
      list[index] = copyJson(items.schema.default)
    applyDefaults(list[index], items)
  }
}

function defaultUndeclared(object: Record<string, unknown>, shape: Shape): void {
  const values = shape.values!
  for (const key of Object.keys(object)) {
    if (shape.fields.has(key)) continue
    if (object[key] === null && !values.schema.nullable && values.schema.default !== undefined)
      object[key] = copyJson(values.schema.default)
    applyDefaults(object[key], values)
  }
}
