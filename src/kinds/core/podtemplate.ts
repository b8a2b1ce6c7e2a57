// PodTemplate: a Pod template that is kept for later. Nothing acts on it; programs read and write it.

import { defineKind } from '../../api/kind.ts'
import { validateLabels } from '../../api/validate-meta.ts'
import { formatLabels, text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { defaultPodSpec } from './pod-defaults.ts'
import { validatePodSpec } from './pod-rules.ts'

const each = (object: any, field: 'name' | 'image'): string =>
  (object.template?.spec?.containers ?? []).map((container: any) => container[field]).join(',')

export const podTemplate = defineKind({
  group: '',
  version: 'v1',
  kind: 'PodTemplate',
  plural: 'podtemplates',
  singular: 'podtemplate',
  scope: 'Namespaced',
  schema: schemaOf('core.v1.PodTemplate'),
  types,
  hasGeneration: true,
  columns: [
    text('Containers', (object) => each(object, 'name')),
    text('Images', (object) => each(object, 'image')),
    text('Pod Labels', (object) => formatLabels(object.template?.metadata?.labels)),
  ],
  defaults: (object) => defaultPodSpec(object.template?.spec),
  validate: ({ template }) => [
    ...validateLabels(template?.metadata?.labels, 'template.metadata.labels'),
    ...validatePodSpec(template?.spec, 'template.spec'),
  ],
  example: {
    apiVersion: 'v1',
    kind: 'PodTemplate',
    metadata: { name: 'web', namespace: 'default' },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'web', image: 'nginx:1.27' }] },
    },
  },
})
