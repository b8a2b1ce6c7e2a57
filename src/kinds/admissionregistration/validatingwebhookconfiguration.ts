// ValidatingWebhookConfiguration: who is asked whether a request may happen.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { schemaOf, types } from '../types.ts'
import { defaultWebhook, validateWebhooks, webhooksOf } from './webhook-rules.ts'

export const validatingWebhookConfiguration = defineKind({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  kind: 'ValidatingWebhookConfiguration',
  plural: 'validatingwebhookconfigurations',
  singular: 'validatingwebhookconfiguration',
  categories: ['api-extensions'],
  scope: 'Cluster',
  schema: schemaOf('admissionregistration.v1.ValidatingWebhookConfiguration'),
  types,
  hasGeneration: true,
  columns: [{ name: 'Webhooks', type: 'integer', value: (object) => webhooksOf(object).length }, ageColumn],
  defaults(object: ApiObject) {
    for (const hook of webhooksOf(object)) defaultWebhook(hook)
  },
  validate: validateWebhooks,
  example: {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    metadata: { name: 'rules' },
    webhooks: [
      {
        name: 'pods.rules.example.com',
        rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
        clientConfig: { service: { namespace: 'default', name: 'rules', path: '/pods' } },
        sideEffects: 'None',
        admissionReviewVersions: ['v1'],
      },
    ],
  },
})
