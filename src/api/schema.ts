// The schema of a kind as data: one description that drives defaulting, pruning, validation, merge keys,
// server-side apply, protobuf decoding and OpenAPI. A structural schema in the sense of CustomResourceDefinitions,
// with the extensions of Kubernetes' own types.

export type SchemaType = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'

export interface Schema {
  /** Name of a shared type in SchemaTypes ("core.v1.PodSpec"); every other key beside `ref` overrides what it names (default, description, proto …). */
  ref?: string
  type?: SchemaType
  /** int32, int64, double, byte (base64), date-time, micro-time, quantity, duration, int-or-string. */
  format?: string
  description?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  /** A map: the schema of its values. */
  additionalProperties?: Schema
  default?: unknown
  enum?: unknown[]
  nullable?: boolean
  minimum?: number
  maximum?: number
  exclusiveMinimum?: boolean
  exclusiveMaximum?: boolean
  multipleOf?: number
  minLength?: number
  maxLength?: number
  pattern?: string
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
  minProperties?: number
  maxProperties?: number
  allOf?: Schema[]
  anyOf?: Schema[]
  oneOf?: Schema[]
  not?: Schema
  /** x-kubernetes-int-or-string */
  intOrString?: boolean
  /** x-kubernetes-preserve-unknown-fields */
  preserveUnknown?: boolean
  /** x-kubernetes-embedded-resource */
  embedded?: boolean
  /** x-kubernetes-list-type; default atomic */
  listType?: 'atomic' | 'set' | 'map'
  /** x-kubernetes-list-map-keys */
  listMapKeys?: string[]
  /** x-kubernetes-map-type; default granular */
  mapType?: 'atomic' | 'granular'
  /** x-kubernetes-validations: rules in CEL */
  rules?: ValidationRule[]
  /** x-kubernetes-patch-strategy, e.g. "merge", "retainKeys", "merge,retainKeys" (strategic merge patch) */
  patchStrategy?: string
  /** x-kubernetes-patch-merge-key */
  patchMergeKey?: string
  /** Protobuf field number inside the parent message. */
  proto?: number
  /** Protobuf fields that hold an embedded message whose fields stand in this object itself: number → type name. */
  protoInline?: Record<number, string>
  /** A list that is a message of its own in protobuf, with the items as field 1 (ExtraValue). */
  protoWrapped?: boolean
  /** A value of several forms that protobuf sends as a message with a field for each: number → schema of that form. */
  protoChoice?: Record<number, Schema>
  /** True when Go holds a pointer or always writes the field: a zero value that was sent is kept. */
  keepZero?: boolean
}

/** One of x-kubernetes-validations (apiextensions/v1 ValidationRule). */
export interface ValidationRule {
  rule: string
  message?: string
  messageExpression?: string
  reason?: string
  fieldPath?: string
  optionalOldSelf?: boolean
}

/** Shared types by name: "<group short name>.<version>.<Type>", e.g. "core.v1.PodSpec", "meta.v1.ObjectMeta". */
export type SchemaTypes = Record<string, Schema>
