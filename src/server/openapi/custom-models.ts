// The schema of a CustomResourceDefinition as OpenAPI publishes it: its author's own, with what all objects have. Version
// 2 of OpenAPI knows less, and what it cannot say is left out
// (apiextensions pkg/controller/openapi/builder and pkg/controller/openapi/v2, 1.36).

import { isPlainObject } from '../../api/walk/plain.ts'

type Json = Record<string, any>

/** What stands for apiVersion, kind and metadata: the texts, and the reference. */
export interface CommonModels {
  apiVersion: Json
  kind: Json
  metadata: Json
}

const keywords = [
  ...['description', 'type', 'format', 'title', 'default', 'nullable', 'maximum', 'exclusiveMaximum', 'minimum'],
  ...['exclusiveMinimum', 'maxLength', 'minLength', 'pattern', 'maxItems', 'minItems', 'uniqueItems', 'multipleOf'],
  ...['enum', 'maxProperties', 'minProperties', 'required', 'externalDocs', 'example'],
  ...['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-embedded-resource', 'x-kubernetes-int-or-string'],
  ...['x-kubernetes-list-map-keys', 'x-kubernetes-list-type', 'x-kubernetes-map-type', 'x-kubernetes-validations'],
]

const preserves = (json: Json): boolean => json['x-kubernetes-preserve-unknown-fields'] === true

/** The model of a custom resource, still without its group, version and kind. */
export function customModel(json: Json, version: 2 | 3, common: CommonModels): Json {
  if (Object.keys(json).length === 0) return { type: 'object' }
  // kubectl would take declared fields for the only ones.
  if (version === 2 && preserves(json)) return { type: 'object' }
  const model = convert(json, version, common)
  return { ...model, properties: { ...model.properties, ...common } }
}

function convert(json: Json, version: 2 | 3, common: CommonModels): Json {
  const model: Json = {}
  for (const name of keywords) if (json[name] !== undefined) model[name] = json[name]
  if (isPlainObject(json.items)) model.items = convert(json.items, version, common)
  if (isPlainObject(json.additionalProperties))
    model.additionalProperties = convert(json.additionalProperties, version, common)
  else if (json.additionalProperties !== undefined) model.additionalProperties = json.additionalProperties
  if (json.properties)
    model.properties = Object.fromEntries(
      Object.entries<Json>(json.properties).map(([name, field]) => [name, convert(field, version, common)]),
    )
  if (version === 2) forOldReaders(json, model)
  else {
    for (const name of ['allOf', 'anyOf', 'oneOf'])
      if (json[name]) model[name] = json[name].map((part: Json) => convert(part, version, common))
    if (json.not) model.not = convert(json.not, version, common)
  }
  if (json['x-kubernetes-embedded-resource'] && !(version === 2 && preserves(json))) embed(model, common)
  return model
}

function embed(model: Json, common: CommonModels): void {
  model.properties = { ...model.properties, ...common }
  model.required = [...new Set([...(model.required ?? []), 'kind', 'apiVersion'])]
}

/** Logic is unknown to version 2, and what may be null or more than it says has no type there. */
function forOldReaders(json: Json, model: Json): void {
  if (json.nullable) {
    delete model.nullable
    delete model.type
    delete model.items
    delete model.properties
  }
  if (preserves(json)) {
    delete model.items
    delete model.properties
    if (model.type === 'object') delete model.type
  }
  if (model.type === 'array' && !model.items) delete model.type
  const required = (json.required ?? []).filter((name: string) => !json.properties?.[name]?.nullable)
  if (required.length > 0 && !json.additionalProperties?.nullable) model.required = required
  else delete model.required
}
