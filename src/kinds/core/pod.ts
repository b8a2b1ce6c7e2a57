// Pod: containers that run together on this machine.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { schemaOf, types } from '../types.ts'
import { podColumns } from './pod-columns.ts'
import { defaultPod } from './pod-defaults.ts'
import { mergeLabelKeys } from './pod-label-keys.ts'
import { validatePodSpec } from './pod-rules.ts'
import {
  narrowToResize,
  validateEphemeralUpdate,
  validatePodStatus,
  validatePodUpdate,
  validateResize,
} from './pod-update-rules.ts'
import { qosClassOf } from './resource-rules.ts'

const gated = (since: unknown) => ({
  type: 'PodScheduled',
  status: 'False',
  reason: 'SchedulingGated',
  message: 'Scheduling is blocked due to non-empty scheduling gates',
  lastProbeTime: null,
  lastTransitionTime: since ?? null,
})

function updateRules(object: ApiObject, old: ApiObject, subresource: string): FieldError[] {
  if (subresource === 'ephemeralcontainers') return validateEphemeralUpdate(object, old)
  return subresource === 'resize' ? validateResize(object, old) : validatePodUpdate(object, old)
}

export const pod = defineKind({
  group: '',
  version: 'v1',
  kind: 'Pod',
  plural: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.Pod'),
  types,
  subresources: { status: true },
  columns: podColumns,
  defaults: defaultPod,
  prepareCreate(object) {
    if (object.spec) mergeLabelKeys(object)
    object.status = {
      phase: 'Pending',
      qosClass: qosClassOf(object.spec),
      ...(object.spec?.schedulingGates?.length && { conditions: [gated(object.metadata.creationTimestamp)] }),
    }
  },
  prepareUpdate(object, old, subresource) {
    if (subresource === 'ephemeralcontainers') {
      const { ephemeralContainers } = object.spec ?? {}
      object.spec = { ...old.spec, ...(ephemeralContainers && { ephemeralContainers }) }
      if (!ephemeralContainers) delete object.spec.ephemeralContainers
    }
    if (subresource === 'resize') object.spec = narrowToResize(object.spec, old.spec)
    // Who does not know the field does not take it back.
    if (subresource === 'status' && !object.status?.observedGeneration && old.status?.observedGeneration)
      object.status = { ...object.status, observedGeneration: old.status.observedGeneration }
  },
  validate(object, old, subresource) {
    if (subresource === 'status') return validatePodStatus(object, old!)
    // The scheduler's word changes nothing that has rules.
    if (subresource === 'binding') return []
    return [...(old ? updateRules(object, old, subresource ?? '') : []), ...validatePodSpec(object.spec, 'spec')]
  },
  fields: {
    'spec.nodeName': (object) => object.spec?.nodeName ?? '',
    'spec.restartPolicy': (object) => object.spec?.restartPolicy ?? '',
    'spec.schedulerName': (object) => object.spec?.schedulerName ?? '',
    'spec.serviceAccountName': (object) => object.spec?.serviceAccountName ?? '',
    'spec.hostNetwork': (object) => String(object.spec?.hostNetwork ?? false),
    'status.phase': (object) => object.status?.phase ?? '',
    'status.podIP': (object) => object.status?.podIP ?? '',
    'status.nominatedNodeName': (object) => object.status?.nominatedNodeName ?? '',
  },
  example: {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'default', labels: { app: 'web' } },
    spec: {
      containers: [
        {
          name: 'web',
          image: 'nginx:1.27',
          ports: [{ name: 'http', containerPort: 80 }],
          env: [{ name: 'GREETING', value: 'hello' }],
          resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '128Mi' } },
          volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
          readinessProbe: { httpGet: { path: '/', port: 'http' } },
        },
      ],
      volumes: [{ name: 'cache', emptyDir: {} }],
    },
  },
})
