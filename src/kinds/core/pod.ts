// Pod: containers that run together on this machine.

import { defineKind } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'
import { podColumns } from './pod-columns.ts'
import { defaultPod } from './pod-defaults.ts'
import { validatePodSpec, validatePodUpdate } from './pod-rules.ts'
import { qosClassOf } from './resource-rules.ts'

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
    object.status = { phase: 'Pending', qosClass: qosClassOf(object.spec) }
  },
  validate: (object, old) => [...(old ? validatePodUpdate(object, old) : []), ...validatePodSpec(object.spec, 'spec')],
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
