// How a kind is declared: everything that the server, the client, the console and the tests need to know of it, as data
// and pure functions. One kind, one file in src/kinds/<group>/, one line in src/kinds/index.ts.

import type { FieldError } from './errors.ts'
import type { ApiObject, ResourceRef } from './meta.ts'
import type { Schema, SchemaTypes } from './schema.ts'

/** One column of a Table answer (kubectl get). */
export interface Column {
  name: string
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  format?: string
  description?: string
  /** 0 = always shown, 1 = only with -o wide */
  priority?: number
  /** A JSONPath without braces (".status.phase"), or a pure function of the object. `now` is the server's clock (ms). */
  value: string | ((object: ApiObject, now: number) => unknown)
}

export interface ScaleSubresource {
  specReplicasPath: string
  statusReplicasPath: string
  /** JSONPath of a string selector, or a function that makes it from the object. */
  selector?: string | ((object: ApiObject) => string)
}

export interface KindDefinition {
  group: string
  version: string
  kind: string
  /** Default `${kind}List` */
  listKind?: string
  plural: string
  singular: string
  shortNames?: string[]
  categories?: string[]
  scope: 'Namespaced' | 'Cluster'
  /** The object's schema without apiVersion, kind and metadata, which are the same for all. */
  schema: Schema
  /** The shared types that `schema` refers to. */
  types: SchemaTypes
  subresources?: { status?: boolean; scale?: ScaleSubresource; [name: string]: unknown }
  /** Columns of a Table; Name is always first and Age is added by the kind itself where upstream shows it. */
  columns: Column[]
  /** Defaults that depend on other fields; the constant ones stand in the schema. Changes the object in place. */
  defaults?(object: ApiObject): void
  /** Called before validation of a create and an update (the strategy of upstream): may reset or set fields in place. */
  prepareCreate?(object: ApiObject): void
  /** `subresource` is '' for the object itself; 'status', 'resize' … where only that part is written. */
  prepareUpdate?(object: ApiObject, old: ApiObject, subresource?: string): void
  /** Rules that a schema cannot say; `old` is set on update, `subresource` as with prepareUpdate. */
  validate?(object: ApiObject, old?: ApiObject, subresource?: string): FieldError[]
  /** Rules for objects that are well-formed otherwise; `errors` are those found before. */
  conclude?(object: ApiObject, old: ApiObject | undefined, errors: readonly FieldError[]): FieldError[]
  /** Warnings for the client (Warning headers); `old` is set on update. */
  warnings?(object: ApiObject, old?: ApiObject): string[]
  /** A warning for every request of this version: it is deprecated. */
  deprecation?: string
  /** Held by a delete until somebody has cleaned up. */
  deleteFinalizers?: string[]
  /** Changes an object in place whose deletion begins at `now`. */
  leaving?(object: ApiObject, now: string): void
  /** Field selectors beyond metadata.name and metadata.namespace: path → value as text ('' when unset). */
  fields?: Record<string, (object: ApiObject) => string>
  /** Rule for metadata.name; default is a DNS-1123 subdomain. */
  nameRule?: 'dns-subdomain' | 'dns-label' | 'dns-1035-label' | 'path-segment'
  /** False where metadata.generation stays unset (ConfigMap, Event …). Default: the schema has `spec`. */
  hasGeneration?: boolean
  /** Verbs that the resource serves; default is all of them. An empty list with `virtual` is a create-only review kind. */
  verbs?: string[]
  /** True for kinds that are answered, never stored (TokenReview, SubjectAccessReview …). */
  virtual?: boolean
  /** Another kind of the same plural whose objects these are: they are stored as that one and converted on the way. */
  storedAs?: {
    group: string
    version: string
    toStored(object: ApiObject): ApiObject
    fromStored(object: ApiObject): ApiObject
  }
  /** Protobuf message name if it is not the kind's own; false when the kind is never sent as protobuf (KubeVirt). */
  protobuf?: string | false
  /** Default propagation of a delete whose options name none. Upstream: background for all but a few legacy kinds. */
  defaultPropagation?: 'Background' | 'Orphan'
  /** The schema as its author wrote it (a CustomResourceDefinition's openAPIV3Schema): what OpenAPI publishes. */
  published?: Record<string, any>
  /** A complete object that passes validation; the contract test and the docs use it. */
  example: ApiObject
}

/** Checks nothing and changes nothing: it is there so that every kind file reads the same and is typed. */
export const defineKind = (definition: KindDefinition): KindDefinition => definition

export const resourceOf = (kind: KindDefinition): ResourceRef => ({
  group: kind.group,
  version: kind.version,
  resource: kind.plural,
})
