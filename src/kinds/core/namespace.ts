// Namespace: a room for names; deleting it deletes what is in it.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

const nameLabel = 'kubernetes.io/metadata.name'

function labelWithName({ metadata }: ApiObject): void {
  if (metadata.name && metadata.labels?.[nameLabel] !== metadata.name)
    metadata.labels = { ...metadata.labels, [nameLabel]: metadata.name }
}

/** Finalizers beside `kubernetes` have a name with a domain (validateFinalizerName, 1.36). */
function finalizerErrors({ spec }: ApiObject): FieldError[] {
  const finalizers: string[] = spec?.finalizers ?? []
  return finalizers.flatMap((value, index) => {
    const problems = qualifiedNameProblems(value)
    if (problems.length === 0 && !value.includes('/') && value !== 'kubernetes')
      problems.push('name is neither a standard finalizer name nor is it fully qualified')
    const field = `spec.finalizers[${index}]`
    return problems.map((detail): FieldError => ({ type: 'FieldValueInvalid', field, value, detail }))
  })
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
  prepareUpdate(object, old, subresource) {
    // What holds it back changes through `finalize` only.
    if (subresource !== 'finalize') object.spec = { ...object.spec, finalizers: old.spec?.finalizers }
  },
  validate: finalizerErrors,
  fields: { 'status.phase': (object) => object.status?.phase ?? '' },
  example: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
})
