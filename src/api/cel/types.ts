// CEL's types as the checker sees them, with the sizes that the schema of an object promises (for cost estimates).

export type TypeKind =
  | 'dyn'
  | 'error'
  | 'null'
  | 'bool'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'timestamp'
  | 'duration'
  | 'list'
  | 'map'
  | 'optional'
  | 'struct'
  | 'opaque'
  | 'type'
  | 'param'

export interface Type {
  kind: TypeKind
  /** As CEL prints it. */
  name: string
  /** list: item; map: key and value; optional: value. */
  params: Type[]
  /** struct: the type of a field, undefined when it has none of that name. */
  field?: (name: string) => Type | undefined
  /** The largest `size()` that the schema allows. */
  maxElements?: number
  /** The smallest number of bytes of such a value in JSON. */
  minSize?: number
}

const simple = (kind: TypeKind, name: string): Type => ({ kind, name, params: [] })

export const dynType = simple('dyn', 'dyn')
export const errorType = simple('error', '!error!')
export const nullType = simple('null', 'null')
export const boolType = simple('bool', 'bool')
export const intType = simple('int', 'int')
export const uintType = simple('uint', 'uint')
export const doubleType = simple('double', 'double')
export const stringType = simple('string', 'string')
export const bytesType = simple('bytes', 'bytes')
export const timestampType = simple('timestamp', 'google.protobuf.Timestamp')
export const durationType = simple('duration', 'google.protobuf.Duration')
export const typeType = simple('type', 'type')

export const listOf = (item: Type, maxElements?: number): Type => ({
  kind: 'list',
  name: `list(${item.name})`,
  params: [item],
  maxElements,
})
export const mapOf = (key: Type, value: Type, maxElements?: number): Type => ({
  kind: 'map',
  name: `map(${key.name}, ${value.name})`,
  params: [key, value],
  maxElements,
})
export const optionalOf = (value: Type): Type => ({
  kind: 'optional',
  name: `optional_type(${value.name})`,
  params: [value],
})
export const paramType = (name: string): Type => simple('param', name)
export const structType = (name: string, field?: (name: string) => Type | undefined): Type => ({
  kind: 'struct',
  name,
  params: [],
  field,
})
export const opaqueType = (name: string): Type => simple('opaque', name)

export const isDyn = (type: Type): boolean => type.kind === 'dyn' || type.kind === 'error'

export function sameType(a: Type, b: Type): boolean {
  if (a === b) return true
  if (a.kind !== b.kind || a.params.length !== b.params.length) return false
  if (a.params.length === 0) return a.name === b.name
  return a.params.every((param, i) => sameType(param, b.params[i]!))
}

/** The same kind of type with other parameters. */
export function withParams(type: Type, params: Type[]): Type {
  if (type.kind === 'list') return listOf(params[0]!, type.maxElements)
  if (type.kind === 'map') return mapOf(params[0]!, params[1]!, type.maxElements)
  if (type.kind === 'optional') return optionalOf(params[0]!)
  return type
}
