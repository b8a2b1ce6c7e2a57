// Schemas with their references resolved and the questions of every walk answered beforehand: decode, defaults,
// validation, patches and field ownership all walk over shapes. A shape is made once per schema and kept.

import type { Schema, SchemaTypes } from '../schema.ts'
import { metaTypeNames, objectMetaSchema, typeMetaFields } from './object-meta.ts'

export type ShapeKind =
  | 'object'
  | 'map'
  | 'array'
  | 'string'
  | 'integer'
  | 'number'
  | 'boolean'
  | 'int-or-string'
  | 'quantity'
  /** Anything: no type is declared. */
  | 'any'

export interface Shape {
  kind: ShapeKind
  /** The schema with its reference resolved and its overrides laid over it. */
  schema: Schema
  /** The last reference's name: "core.v1.PodSpec". */
  typeName: string | undefined
  /** Declared fields of an object. */
  fields: Map<string, Shape>
  /** Values of a map, or of an object's undeclared fields. */
  values: Shape | undefined
  items: Shape | undefined
  /** Of a value that takes one of several forms: what it is as an object. */
  asObject: Shape | undefined
  /** Keeps fields that it does not declare. */
  open: boolean
  keepZero: boolean
  required: readonly string[]
  /** Owned and merged as one value. */
  atomic: boolean
  /** Key fields of an associative list; empty for a set and for an atomic list. */
  listKeys: readonly string[]
  /** A list whose items have an identity (set or map). */
  associative: boolean
  /** Fields with a default, and fields that have one somewhere below. */
  defaulted: [name: string, field: Shape][]
  deeperDefaults: [name: string, field: Shape][]
  hasDefaults: boolean
  /** There is something for validation to check here or below. */
  hasRules: boolean
  allOf: Shape[]
  anyOf: Shape[]
  oneOf: Shape[]
  not: Shape | undefined
  finished: boolean
}

/** What a whole object needs: see KindDefinition, which is one. */
export interface ObjectSchema {
  kind?: string
  schema: Schema
  types: SchemaTypes
}

const shapes = new WeakMap<SchemaTypes, WeakMap<Schema, Shape>>()
const roots = new WeakMap<Schema, Shape>()
const noTypes: SchemaTypes = {}

/** The shape of a whole object: apiVersion, kind and metadata beside what the kind's schema declares. */
export function objectShape(definition: ObjectSchema): Shape {
  let root = roots.get(definition.schema)
  if (!root) {
    root = shapeOf(withTypeAndMeta(resolve(definition.schema, definition.types).schema), definition.types)
    roots.set(definition.schema, root)
  }
  return root
}

function withTypeAndMeta(schema: Schema): Schema {
  return {
    ...schema,
    type: 'object',
    properties: { ...typeMetaFields, ...schema.properties, metadata: objectMetaSchema },
  }
}

/** The shape of any schema. */
export function shapeOf(schema: Schema, types: SchemaTypes = noTypes): Shape {
  let known = shapes.get(types)
  if (!known) {
    known = new WeakMap()
    shapes.set(types, known)
  }
  const shape = build(schema, types, known)
  if (!shape.finished) finish(shape)
  return shape
}

function resolve(schema: Schema, types: SchemaTypes): { schema: Schema; typeName: string | undefined } {
  let flat = schema
  let typeName = metaTypeNames.get(schema)
  for (let steps = 0; flat.ref !== undefined; steps++) {
    const target = Object.hasOwn(types, flat.ref) ? types[flat.ref] : undefined
    if (!target || steps > 50) throw new Error(`schema refers to the type ${flat.ref}, which is not among its types`)
    typeName ??= flat.ref
    const { ref: _, ...overrides } = flat
    flat = { ...target, ...overrides }
  }
  return { schema: flat, typeName }
}

function build(schema: Schema, types: SchemaTypes, known: WeakMap<Schema, Shape>): Shape {
  const seen = known.get(schema)
  if (seen) return seen
  const { schema: flat, typeName } = resolve(schema, types)
  const kind = kindOf(flat)
  const listType = kind === 'array' ? (flat.listType ?? 'atomic') : undefined
  const shape: Shape = {
    kind,
    schema: flat,
    typeName,
    fields: new Map(),
    values: undefined,
    items: undefined,
    asObject: undefined,
    open: kind === 'any' || flat.preserveUnknown === true,
    keepZero: flat.keepZero === true,
    required: flat.required ?? [],
    atomic: listType === 'atomic' || flat.mapType === 'atomic',
    listKeys: listType === 'map' ? (flat.listMapKeys ?? []) : [],
    associative: listType === 'map' || listType === 'set',
    defaulted: [],
    deeperDefaults: [],
    hasDefaults: false,
    hasRules: false,
    allOf: [],
    anyOf: [],
    oneOf: [],
    not: undefined,
    finished: false,
  }
  // Known before its children are built: types may contain themselves.
  known.set(schema, shape)
  const child = (part: Schema): Shape => build(part, types, known)
  if (flat.embedded) {
    for (const [name, field] of Object.entries({ ...typeMetaFields, metadata: objectMetaSchema }))
      shape.fields.set(name, child(field))
  }
  for (const [name, field] of Object.entries(flat.properties ?? {})) shape.fields.set(name, child(field))
  if (flat.additionalProperties) shape.values = child(flat.additionalProperties)
  if (flat.items) shape.items = child(flat.items)
  const form = Object.values(flat.protoChoice ?? {}).find((one) => one.ref !== undefined)
  if (form) shape.asObject = child(form)
  shape.allOf = (flat.allOf ?? []).map(child)
  shape.anyOf = (flat.anyOf ?? []).map(child)
  shape.oneOf = (flat.oneOf ?? []).map(child)
  if (flat.not) shape.not = child(flat.not)
  return shape
}

function kindOf(schema: Schema): ShapeKind {
  if (schema.format === 'quantity') return 'quantity'
  if (schema.intOrString || schema.format === 'int-or-string') return 'int-or-string'
  if (schema.type === 'object' || schema.properties || schema.additionalProperties)
    return schema.additionalProperties && !schema.properties ? 'map' : 'object'
  return schema.type ?? (schema.items ? 'array' : 'any')
}

/** Settles what depends on shapes below, which may form circles: the flags travel from the shapes that have something upwards. */
function finish(root: Shape): void {
  const reached = new Set<Shape>()
  const parents = new Map<Shape, Shape[]>()
  const stack = [root]
  for (let shape = stack.pop(); shape; shape = stack.pop()) {
    if (reached.has(shape) || shape.finished) continue
    reached.add(shape)
    for (const below of childrenOf(shape)) {
      parents.get(below)?.push(shape) ?? parents.set(below, [shape])
      stack.push(below)
    }
  }
  const spread = (flag: 'hasDefaults' | 'hasRules', owns: (shape: Shape) => boolean) => {
    const rising: Shape[] = []
    for (const shape of new Set([...reached, ...parents.keys()])) if (shape[flag] || owns(shape)) rising.push(shape)
    for (let shape = rising.pop(); shape; shape = rising.pop()) {
      if (!shape.finished) shape[flag] = true
      for (const parent of parents.get(shape) ?? []) {
        if (parent[flag]) continue
        parent[flag] = true
        rising.push(parent)
      }
    }
  }
  spread('hasDefaults', (shape) => shape.schema.default !== undefined)
  spread('hasRules', hasOwnRules)
  for (const shape of reached) {
    for (const entry of shape.fields) {
      if (entry[1].schema.default !== undefined) shape.defaulted.push(entry)
      if (entry[1].hasDefaults && isContainer(entry[1])) shape.deeperDefaults.push(entry)
    }
    shape.finished = true
  }
}

const isContainer = (shape: Shape): boolean => shape.kind === 'object' || shape.kind === 'map' || shape.kind === 'array'

function* childrenOf(shape: Shape): Generator<Shape> {
  yield* shape.fields.values()
  if (shape.values) yield shape.values
  if (shape.items) yield shape.items
  if (shape.asObject) yield shape.asObject
  yield* shape.allOf
  yield* shape.anyOf
  yield* shape.oneOf
  if (shape.not) yield shape.not
}

const ruleNames = [
  'enum',
  'minimum',
  'maximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'pattern',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
] as const

const hasOwnRules = (shape: Shape): boolean =>
  shape.required.length > 0 || ruleNames.some((name) => shape.schema[name] !== undefined)

/** A declared field's shape, or that of a map's values; undefined for what is not declared. */
export const fieldShape = (shape: Shape, name: string): Shape | undefined => shape.fields.get(name) ?? shape.values

/** The shape of undeclared data. */
export const anyShape: Shape = shapeOf({})
