// Our schemas as OpenAPI models, under the names that upstream publishes ("io.k8s.api.core.v1.Pod").

import { parseGroupVersion } from '../../api/meta.ts'
import type { Schema, SchemaTypes } from '../../api/schema.ts'
import { descriptions } from '../../kinds/descriptions.ts'
import type { Resource } from '../registry.ts'
import { customModel } from './custom-models.ts'

export type Json = Record<string, any>

const apimachinery = 'io.k8s.apimachinery.pkg'

/** Formats of ours that are models of their own upstream. */
const formatModels: Record<string, string> = {
  'date-time': `${apimachinery}.apis.meta.v1.Time`,
  'micro-time': `${apimachinery}.apis.meta.v1.MicroTime`,
  duration: `${apimachinery}.apis.meta.v1.Duration`,
  quantity: `${apimachinery}.api.resource.Quantity`,
  'int-or-string': `${apimachinery}.util.intstr.IntOrString`,
}

const wellKnown = (version: 2 | 3): Record<string, Json> => ({
  [formatModels['date-time']!]: { type: 'string', format: 'date-time' },
  [formatModels['micro-time']!]: { type: 'string', format: 'date-time' },
  [formatModels.duration!]: { type: 'string' },
  [formatModels.quantity!]: version === 3 ? { oneOf: [{ type: 'string' }, { type: 'number' }] } : { type: 'string' },
  [formatModels['int-or-string']!]:
    version === 3
      ? { oneOf: [{ type: 'integer' }, { type: 'string' }], format: 'int-or-string' }
      : { type: 'string', format: 'int-or-string' },
})

/** Groups that servers of their own have upstream. */
const otherServers = [
  ['apiextensions.', 'io.k8s.apiextensions-apiserver.pkg.apis'],
  ['apiregistration.', 'io.k8s.kube-aggregator.pkg.apis'],
] as const

/** 'core.v1.Pod' → 'io.k8s.api.core.v1.Pod' */
export function modelName(typeName: string): string {
  if (typeName.startsWith('meta.')) return `${apimachinery}.apis.${typeName}`
  for (const [prefix, place] of otherServers) if (typeName.startsWith(prefix)) return `${place}.${typeName}`
  return typeName.startsWith('kubevirt.') ? `io.${typeName}` : `io.k8s.api.${typeName}`
}

/** The shared type that a kind is, by the rule of src/kinds: "<first label of the group>.<version>.<Kind>". */
export function typeNameOf(group: string, version: string, kind: string): string {
  return `${group.split('.')[0] || 'core'}.${version}.${kind}`
}

/** The model of a served kind; a kind that is no shared type gets its group turned round ("dev.tandem.v1.Fleet"). */
export function kindModel(resource: Pick<Resource, 'group' | 'version' | 'kind'>, kind = resource.kind.kind): string {
  const { group, version } = resource
  const typeName = typeNameOf(group, version, resource.kind.kind)
  if (!resource.kind.published && typeName in resource.kind.types) return modelName(typeNameOf(group, version, kind))
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`
}

/** Makes the models that one document needs, each once. */
export class Models {
  readonly all: Record<string, Json> = {}
  readonly #version: 2 | 3
  readonly #prefix: string

  constructor(version: 2 | 3) {
    this.#version = version
    this.#prefix = version === 3 ? '#/components/schemas/' : '#/definitions/'
  }

  ref(model: string): Json {
    return { $ref: this.#prefix + model }
  }

  /** Adds a shared type with all that it names, and refers to it. */
  type(typeName: string, types: SchemaTypes): Json {
    const model = modelName(typeName)
    if (!(model in this.all)) {
      this.all[model] = {} // types may refer to themselves
      this.all[model] = this.#object(types[typeName] ?? {}, types, typeName)
    }
    return this.ref(model)
  }

  /** Adds the model of a kind and of its list. */
  kind(resource: Resource): Json {
    const { kind, group, version } = resource
    const model = kindModel(resource)
    const typeName = typeNameOf(group, version, kind.kind)
    if (kind.published) return this.#custom(resource, kind.published)
    const text = { type: 'string' } as const
    const root: Schema = {
      ...kind.schema,
      properties: { apiVersion: text, kind: text, metadata: { ref: 'meta.v1.ObjectMeta' }, ...kind.schema.properties },
    }
    this.all[model] = {
      ...this.#object(root, kind.types, typeName),
      'x-kubernetes-group-version-kind': [{ group, kind: kind.kind, version }],
    }
    if (!kind.virtual) this.#list(resource)
    return this.ref(model)
  }

  #custom(resource: Resource, published: Json): Json {
    const { kind, group, version } = resource
    const model = kindModel(resource)
    const described = (name: string) => ({ type: 'string', description: commonWords[name] })
    const metadata = this.#schema({ ref: 'meta.v1.ObjectMeta', description: commonWords.metadata! }, kind.types)
    const common = { apiVersion: described('apiVersion'), kind: described('kind'), metadata }
    const fields = Object.keys(kind.fields ?? {}).map((fieldPath) => ({ fieldPath }))
    this.all[model] = {
      ...customModel(published, this.#version, common),
      'x-kubernetes-group-version-kind': [{ group, kind: kind.kind, version }],
      ...(this.#version === 3 && fields.length > 0 && { 'x-kubernetes-selectable-fields': fields }),
    }
    this.#list(resource)
    return this.ref(model)
  }

  listModel = (resource: Resource): string => kindModel(resource, resource.listKind)

  #list(resource: Resource): void {
    const { group, version, listKind, kind } = resource
    this.all[this.listModel(resource)] = {
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: { type: 'string' },
        items: { type: 'array', items: this.ref(kindModel(resource)) },
        kind: { type: 'string' },
        metadata: this.type('meta.v1.ListMeta', kind.types),
      },
      'x-kubernetes-group-version-kind': [{ group, kind: listKind, version }],
    }
  }

  #object(schema: Schema, types: SchemaTypes, typeName: string): Json {
    const words = descriptions[typeName] ?? {}
    const properties: Json = {}
    for (const [name, field] of Object.entries(schema.properties ?? {})) {
      const description = field.description ?? words[name] ?? commonWords[name]
      properties[name] = this.#schema(description ? { ...field, description } : field, types)
    }
    const own = this.#schema({ ...schema, properties: {}, required: [] }, types)
    const description = schema.description ?? words['']
    return {
      ...own,
      ...(description && { description }),
      ...(schema.required?.length && { required: schema.required }),
      ...(Object.keys(properties).length > 0 && { properties }),
    }
  }

  #schema(schema: Schema, types: SchemaTypes): Json {
    const target = this.#target(schema, types)
    const extra = this.#extra(schema)
    if (!target) return { ...this.#plain(schema, types), ...extra }
    if (Object.keys(extra).length === 0) return target
    // Nothing may stand beside a $ref in version 3.
    return this.#version === 3 ? { allOf: [target], ...extra } : { ...target, ...extra }
  }

  /** The model that a schema refers to, if it does. */
  #target(schema: Schema, types: SchemaTypes): Json | undefined {
    if (schema.ref) return this.type(schema.ref, types)
    const model = formatModels[schema.format ?? '']
    if (!model) return undefined
    this.all[model] = wellKnown(this.#version)[model]!
    return this.ref(model)
  }

  #plain(schema: Schema, types: SchemaTypes): Json {
    const { type, format, properties = {}, items, additionalProperties } = schema
    const result: Json = {}
    if (type) result.type = type
    if (format) result.format = format
    if (schema.required?.length) result.required = schema.required
    if (items) result.items = this.#schema(items, types)
    if (additionalProperties) result.additionalProperties = this.#schema(additionalProperties, types)
    for (const name of copied) if (schema[name] !== undefined) result[name] = schema[name]
    const names = Object.keys(properties)
    if (names.length)
      result.properties = Object.fromEntries(names.map((name) => [name, this.#schema(properties[name]!, types)]))
    return result
  }

  #extra(schema: Schema): Json {
    const result: Json = {}
    if (schema.description) result.description = schema.description
    if (schema.default !== undefined) result.default = schema.default
    for (const [name, extension] of Object.entries(extensions)) {
      const value = schema[name as keyof Schema]
      if (value !== undefined) result[extension] = value
    }
    return result
  }
}

const commonWords: Record<string, string> = {
  apiVersion: 'APIVersion defines which group and version of its schema the object follows.',
  kind: 'What kind of object this is.',
  metadata: "Standard object's metadata: name, labels and what else all objects have.",
}

const copied = [
  ...(['enum', 'minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf', 'pattern'] as const),
  ...(['minLength', 'maxLength', 'minItems', 'maxItems', 'uniqueItems', 'minProperties', 'maxProperties'] as const),
  'nullable',
] as const

const extensions = {
  preserveUnknown: 'x-kubernetes-preserve-unknown-fields',
  embedded: 'x-kubernetes-embedded-resource',
  listType: 'x-kubernetes-list-type',
  listMapKeys: 'x-kubernetes-list-map-keys',
  mapType: 'x-kubernetes-map-type',
  patchStrategy: 'x-kubernetes-patch-strategy',
  patchMergeKey: 'x-kubernetes-patch-merge-key',
}

/** 'apps/v1' of an apiVersion as the path of its document: 'apis/apps/v1', 'api/v1'. */
export function documentPath(apiVersion: string): string {
  return parseGroupVersion(apiVersion).group ? `apis/${apiVersion}` : `api/${apiVersion}`
}
