// Namespace: a room for names; deleting it deletes what is in it.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

const nameLabel = 'kubernetes.io/metadata.name'

function labelWithName({ metadata }: ApiObject): void {
  if (metadata.name && metadata.labels?.[nameLabel] !== metadata.name)
    metadata.labels = { ...metadata.labels, [nameLabel]: metadata.name }
}

export const namespace = defineKind({
  group: '',
  version: 'v1',
  kind: 'Namespace',
  plural: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  scope: 'Cluster',
  schema: schemaOf('core.v1.Namespace'),
  types,
  subresources: { status: true },
  nameRule: 'dns-label',
  hasGeneration: false,
  verbs: ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'],
  columns: [text('Status', (object) => object.status?.phase ?? ''), ageColumn],
  defaults: labelWithName,
  prepareCreate(object) {
    object.status = { phase: 'Active' }
    const finalizers: string[] = object.spec?.finalizers ?? []
    object.spec = {
      ...object.spec,
      finalizers: finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'],
    }
  },
  prepareUpdate(object, old) {
    // Only while it goes away may what holds it back be taken off.
    if (!old.metadata.deletionTimestamp) object.spec = { ...object.spec, finalizers: old.spec?.finalizers }
  },
  fields: { 'status.phase': (object) => object.status?.phase ?? '' },
  example: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
})
