// HorizontalPodAutoscaler: follows metrics with the size of a workload. Stored as v2; v1 is a view of it.

import { defineKind, type KindDefinition } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'
import { autoscalerColumns } from './hpa-columns.ts'
import { autoscalerFromStored, autoscalerToStored } from './hpa-conversion.ts'
import { defaultAutoscalerSpec } from './hpa-defaults.ts'
import { validateAutoscaler } from './hpa-rules.ts'

const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }

const common = {
  group: 'autoscaling',
  kind: 'HorizontalPodAutoscaler',
  plural: 'horizontalpodautoscalers',
  singular: 'horizontalpodautoscaler',
  shortNames: ['hpa'],
  categories: ['all'],
  scope: 'Namespaced',
  hasGeneration: false,
  types,
  subresources: { status: true },
} satisfies Partial<KindDefinition>

export const horizontalPodAutoscaler = defineKind({
  ...common,
  version: 'v2',
  schema: schemaOf('autoscaling.v2.HorizontalPodAutoscaler'),
  columns: autoscalerColumns((object) => object),
  prepareCreate(object) {
    object.status = { desiredReplicas: 0 }
  },
  defaults: ({ spec }) => {
    if (spec) defaultAutoscalerSpec(spec)
  },
  validate: validateAutoscaler,
  example: {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      scaleTargetRef,
      minReplicas: 1,
      maxReplicas: 5,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
      ],
    },
  },
})

export const horizontalPodAutoscalerV1 = defineKind({
  ...common,
  version: 'v1',
  schema: schemaOf('autoscaling.v1.HorizontalPodAutoscaler'),
  columns: autoscalerColumns(autoscalerToStored),
  prepareCreate(object) {
    object.status = { currentReplicas: 0, desiredReplicas: 0 }
  },
  validate: (object) => validateAutoscaler(autoscalerToStored(object)),
  storedAs: {
    group: 'autoscaling',
    version: 'v2',
    toStored: autoscalerToStored,
    fromStored: autoscalerFromStored,
  },
  example: {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web', namespace: 'default' },
    spec: { scaleTargetRef, minReplicas: 1, maxReplicas: 5, targetCPUUtilizationPercentage: 60 },
  },
})
