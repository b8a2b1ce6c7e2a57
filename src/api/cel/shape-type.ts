// The CEL type of the objects of a kind, for checks without data: fields are looked at when an expression names them,
// because kinds may contain themselves.

import type { Shape } from '../walk/shape.ts'
import { unescapeName } from './escape.ts'
import type { Type } from './types.ts'
import * as types from './types.ts'

const known = new WeakMap<Shape, Type>()

export function shapeType(shape: Shape): Type {
  let type = known.get(shape)
  if (!type) {
    type = build(shape)
    known.set(shape, type)
  }
  return type
}

function build(shape: Shape): Type {
  switch (shape.kind) {
    case 'object':
      return types.structType(shape.typeName ?? 'object', (name) => fieldType(shape, name))
    case 'map':
      return types.mapOf(types.stringType, shape.values ? shapeType(shape.values) : types.dynType)
    case 'array':
      return types.listOf(shape.items ? shapeType(shape.items) : types.dynType)
    case 'integer':
      return types.intType
    case 'number':
      return types.doubleType
    case 'boolean':
      return types.boolType
    case 'quantity':
      return types.stringType
    case 'string':
      return textType(shape.schema.format)
    default:
      return types.dynType
  }
}

/** What an open object does not declare is not visible to expressions either. */
function fieldType(shape: Shape, name: string): Type | undefined {
  const property = unescapeName(name)
  const field = property === undefined ? undefined : shape.fields.get(property)
  return field && shapeType(field)
}

function textType(format: string | undefined): Type {
  if (format === 'byte') return types.bytesType
  if (format === 'duration') return types.durationType
  return format === 'date' || format === 'date-time' || format === 'micro-time' ? types.timestampType : types.stringType
}
