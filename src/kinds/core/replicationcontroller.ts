// ReplicationController: what ReplicaSets were before they had set-based selectors.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { requiredValue } from '../../api/walk/rules.ts'
import { validateTemplate } from '../apps/template-rules.ts'
import { formatLabels, templateColumns, text } from '../columns.ts'
import { replicaColumns, replicasScale } from '../replicas.ts'
import { validateCount } from '../rules/share.ts'
import { schemaOf, types } from '../types.ts'
import { defaultPodSpec } from './pod-defaults.ts'

const isEmpty = (labels: unknown): boolean => !labels || Object.keys(labels).length === 0

function defaults({ metadata, spec }: ApiObject): void {
  if (!spec) return
  defaultPodSpec(spec.template?.spec)
  const labels = spec.template?.metadata?.labels
  if (isEmpty(labels)) return
  if (isEmpty(spec.selector)) spec.selector = { ...labels }
  if (isEmpty(metadata.labels)) metadata.labels = { ...labels }
}

function validate({ spec }: ApiObject): FieldError[] {
  if (!spec) return []
  const errors = [
    ...validateCount('spec.minReadySeconds', spec.minReadySeconds),
    ...(isEmpty(spec.selector) ? [requiredValue('spec.selector')] : []),
    ...validateCount('spec.replicas', spec.replicas),
  ]
  if (!spec.template) return [...errors, requiredValue('spec.template')]
  const selector = { matchLabels: spec.selector }
  return [
    ...errors,
    ...validateTemplate({ selector, template: spec.template }, !isEmpty(spec.selector), 'ReplicationController'),
  ]
}

const selectorText = (object: ApiObject): string =>
  isEmpty(object.spec?.selector) ? '' : formatLabels(object.spec.selector)

export const replicationController = defineKind({
  group: '',
  version: 'v1',
  kind: 'ReplicationController',
  plural: 'replicationcontrollers',
  singular: 'replicationcontroller',
  shortNames: ['rc'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.ReplicationController'),
  types,
  subresources: {
    status: true,
    scale: { ...replicasScale, selector: selectorText },
  },
  columns: [
    ...replicaColumns(0),
    ...templateColumns.filter((column) => column.name !== 'Selector'),
    text('Selector', (object) => formatLabels(object.spec?.selector), 1),
  ],
  defaults,
  prepareCreate(object) {
    object.status = { replicas: 0 }
  },
  validate,
  fields: { 'status.replicas': (object) => String(object.status?.replicas ?? 0) },
  // Upstream's default for these, from the time before garbage collection: kubectl always says what it wants.
  defaultPropagation: 'Orphan',
  example: {
    apiVersion: 'v1',
    kind: 'ReplicationController',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      selector: { app: 'web' },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: { containers: [{ name: 'web', image: 'nginx:1.27' }] },
      },
    },
  },
})
