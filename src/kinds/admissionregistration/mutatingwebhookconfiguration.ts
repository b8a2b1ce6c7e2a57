// MutatingWebhookConfiguration: who may change an object on its way to the store.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { schemaOf, types } from '../types.ts'
import { defaultWebhook, validateWebhooks, webhooksOf } from './webhook-rules.ts'

export const mutatingWebhookConfiguration = defineKind({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'MutatingWebhookConfiguration',
  plural: 'mutatingwebhookconfigurations',
  singular: 'mutatingwebhookconfiguration',
  categories: ['api-extensions'],
  scope: 'Cluster',
  schema: schemaOf('admissionregistration.v1.MutatingWebhookConfiguration'),
  types,
  hasGeneration: true,
  columns: [{ name: 'Webhooks', type: 'integer', value: (object) => webhooksOf(object).length }, ageColumn],
  defaults(object: ApiObject) {
    for (const hook of webhooksOf(object)) {
      defaultWebhook(hook)
      hook.reinvocationPolicy ??= 'Never'
    }
  },
  validate: validateWebhooks,
  example: {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'labels' },
    webhooks: [
      {
        name: 'pods.labels.example.com',
        rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
        clientConfig: { service: { namespace: 'default', name: 'labels', path: '/pods' } },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  },
})
