// The schema of what all objects share: apiVersion, kind and metadata (apimachinery meta/v1 types.go, 1.32).

import type { Schema } from '../schema.ts'

const text: Schema = { type: 'string' }
const keptText: Schema = { type: 'string', keepZero: true }
const time: Schema = { type: 'string', format: 'date-time', keepZero: true }

export const ownerReferenceSchema: Schema = {
  type: 'object',
  mapType: 'atomic',
  properties: {
    apiVersion: { ...keptText, proto: 5 },
    blockOwnerDeletion: { type: 'boolean', keepZero: true, proto: 7 },
    controller: { type: 'boolean', keepZero: true, proto: 6 },
    kind: { ...keptText, proto: 1 },
    name: { ...keptText, proto: 3 },
    uid: { ...keptText, proto: 4 },
  },
}

export const managedFieldsEntrySchema: Schema = {
  type: 'object',
  properties: {
    manager: { ...text, proto: 1 },
    operation: { ...text, proto: 2 },
    apiVersion: { ...text, proto: 3 },
    time: { ...time, proto: 4 },
    fieldsType: { ...text, proto: 6 },
    fieldsV1: { type: 'object', preserveUnknown: true, mapType: 'atomic', keepZero: true, proto: 7 },
    subresource: { ...text, proto: 8 },
  },
}

export const objectMetaSchema: Schema = {
  type: 'object',
  properties: {
    name: { ...text, proto: 1 },
    generateName: { ...text, proto: 2 },
    namespace: { ...text, proto: 3 },
    selfLink: { ...text, proto: 4 },
    uid: { ...text, proto: 5 },
    resourceVersion: { ...text, proto: 6 },
    generation: { type: 'integer', format: 'int64', proto: 7 },
    creationTimestamp: { ...time, proto: 8 },
    deletionTimestamp: { ...time, proto: 9 },
    deletionGracePeriodSeconds: { type: 'integer', format: 'int64', keepZero: true, proto: 10 },
    labels: { type: 'object', additionalProperties: text, proto: 11 },
    annotations: { type: 'object', additionalProperties: text, proto: 12 },
    ownerReferences: {
      type: 'array',
      items: ownerReferenceSchema,
      listType: 'map',
      listMapKeys: ['uid'],
      patchStrategy: 'merge',
      patchMergeKey: 'uid',
      proto: 13,
    },
    finalizers: { type: 'array', items: text, listType: 'set', patchStrategy: 'merge', proto: 14 },
    // An empty list that was sent resets ownership, so it must survive decoding.
    managedFields: { type: 'array', items: managedFieldsEntrySchema, listType: 'atomic', keepZero: true, proto: 17 },
  },
}

export const typeMetaFields: Record<string, Schema> = {
  apiVersion: text,
  kind: text,
}

/** The names of these types, as a schema that refers to shared types would give them. */
export const metaTypeNames: ReadonlyMap<Schema, string> = new Map([
  [objectMetaSchema, 'meta.v1.ObjectMeta'],
  [ownerReferenceSchema, 'meta.v1.OwnerReference'],
  [managedFieldsEntrySchema, 'meta.v1.ManagedFieldsEntry'],
])
