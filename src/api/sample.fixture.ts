// A small Deployment and a small custom kind for the tests of this room; the real kinds live in src/kinds.

import type { Schema, SchemaTypes } from './schema.ts'
import { objectMetaSchema } from './walk/object-meta.ts'

const text: Schema = { type: 'string' }
const mapOfText: Schema = { type: 'object', additionalProperties: text }
const count: Schema = { type: 'integer', format: 'int32' }

export const sampleTypes: SchemaTypes = {
  'meta.v1.ObjectMeta': objectMetaSchema,
  'meta.v1.LabelSelector': {
    type: 'object',
    mapType: 'atomic',
    properties: {
      matchLabels: mapOfText,
      matchExpressions: {
        type: 'array',
        items: {
          type: 'object',
          properties: { key: text, operator: text, values: { type: 'array', items: text } },
        },
      },
    },
  },
  'core.v1.ContainerPort': {
    type: 'object',
    properties: {
      name: text,
      containerPort: { ...count, keepZero: true },
      protocol: { ...text, default: 'TCP', enum: ['SCTP', 'TCP', 'UDP'] },
      hostPort: count,
    },
    required: ['containerPort'],
  },
  'core.v1.EnvVar': {
    type: 'object',
    properties: { name: { ...text, keepZero: true }, value: text },
    required: ['name'],
  },
  'core.v1.ResourceRequirements': {
    type: 'object',
    properties: {
      limits: { type: 'object', additionalProperties: { format: 'quantity' } },
      requests: { type: 'object', additionalProperties: { format: 'quantity' } },
    },
  },
  'core.v1.Container': {
    type: 'object',
    properties: {
      name: { ...text, keepZero: true },
      image: text,
      command: { type: 'array', items: text },
      args: { type: 'array', items: text },
      env: {
        type: 'array',
        items: { ref: 'core.v1.EnvVar' },
        listType: 'map',
        listMapKeys: ['name'],
        patchStrategy: 'merge',
        patchMergeKey: 'name',
      },
      ports: {
        type: 'array',
        items: { ref: 'core.v1.ContainerPort' },
        listType: 'map',
        listMapKeys: ['containerPort', 'protocol'],
        patchStrategy: 'merge',
        patchMergeKey: 'containerPort',
      },
      resources: { ref: 'core.v1.ResourceRequirements', keepZero: true, default: {} },
      imagePullPolicy: { ...text, enum: ['Always', 'IfNotPresent', 'Never'] },
      tty: { type: 'boolean' },
    },
    required: ['name'],
  },
  'core.v1.PodSpec': {
    type: 'object',
    properties: {
      containers: {
        type: 'array',
        items: { ref: 'core.v1.Container' },
        keepZero: true,
        listType: 'map',
        listMapKeys: ['name'],
        patchStrategy: 'merge',
        patchMergeKey: 'name',
      },
      volumes: {
        type: 'array',
        items: {
          type: 'object',
          properties: {
            name: { ...text, keepZero: true },
            emptyDir: { type: 'object', properties: { medium: text } },
            hostPath: { type: 'object', properties: { path: text } },
          },
        },
        listType: 'map',
        listMapKeys: ['name'],
        patchStrategy: 'merge,retainKeys',
        patchMergeKey: 'name',
      },
      nodeSelector: { ...mapOfText, mapType: 'atomic' },
      restartPolicy: { ...text, default: 'Always', enum: ['Always', 'Never', 'OnFailure'] },
      terminationGracePeriodSeconds: { type: 'integer', format: 'int64', keepZero: true, default: 30 },
      hostNetwork: { type: 'boolean' },
      tolerations: { type: 'array', items: { type: 'object', properties: { key: text, operator: text } } },
    },
    required: ['containers'],
  },
  'core.v1.PodTemplateSpec': {
    type: 'object',
    properties: { metadata: { ref: 'meta.v1.ObjectMeta' }, spec: { ref: 'core.v1.PodSpec' } },
  },
  'apps.v1.DeploymentSpec': {
    type: 'object',
    properties: {
      replicas: { ...count, keepZero: true, default: 1 },
      minReadySeconds: count,
      selector: { ref: 'meta.v1.LabelSelector', keepZero: true },
      template: { ref: 'core.v1.PodTemplateSpec', keepZero: true },
      strategy: {
        type: 'object',
        patchStrategy: 'retainKeys',
        properties: {
          type: text,
          rollingUpdate: {
            type: 'object',
            properties: {
              maxSurge: { intOrString: true, keepZero: true },
              maxUnavailable: { intOrString: true, keepZero: true },
            },
          },
        },
      },
    },
    required: ['selector', 'template'],
  },
  'apps.v1.DeploymentStatus': {
    type: 'object',
    properties: {
      replicas: count,
      conditions: {
        type: 'array',
        items: { type: 'object', properties: { type: text, status: text } },
        listType: 'map',
        listMapKeys: ['type'],
        patchStrategy: 'merge',
        patchMergeKey: 'type',
      },
    },
  },
}

export const deploymentKind = {
  kind: 'Deployment',
  schema: {
    type: 'object',
    properties: { spec: { ref: 'apps.v1.DeploymentSpec' }, status: { ref: 'apps.v1.DeploymentStatus' } },
  } satisfies Schema as Schema,
  types: sampleTypes,
}

/** A custom resource with every rule. */
export const widgetKind = {
  kind: 'Widget',
  types: {} as SchemaTypes,
  schema: {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        required: ['size'],
        properties: {
          size: { type: 'integer', minimum: 1, maximum: 10 },
          color: { type: 'string', enum: ['red', 'green'], default: 'red' },
          code: { type: 'string', pattern: '^[a-z]+$', minLength: 2, maxLength: 4 },
          ratio: { type: 'number', multipleOf: 0.5, exclusiveMinimum: true, minimum: 0 },
          tags: { type: 'array', items: { type: 'string' }, listType: 'set', maxItems: 3 },
          parts: {
            type: 'array',
            minItems: 1,
            listType: 'map',
            listMapKeys: ['name'],
            items: {
              type: 'object',
              required: ['name'],
              properties: { name: { type: 'string' }, amount: { type: 'integer', default: 1 } },
            },
          },
          port: { intOrString: true },
          at: { type: 'string', format: 'date-time' },
          note: { type: 'string', nullable: true },
          extra: { type: 'object', preserveUnknown: true },
          labels: { type: 'object', additionalProperties: { type: 'string' }, minProperties: 1 },
          source: {
            type: 'object',
            properties: { url: { type: 'string' }, file: { type: 'string' } },
            oneOf: [{ required: ['url'] }, { required: ['file'] }],
          },
        },
      },
      status: { type: 'object', properties: { ready: { type: 'boolean' } } },
    },
  } satisfies Schema as Schema,
}

export const sampleDeployment = (): any => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default', labels: { app: 'web' } },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        containers: [
          {
            name: 'nginx',
            image: 'nginx:1',
            ports: [{ containerPort: 80, protocol: 'TCP' }],
            env: [{ name: 'A', value: '1' }],
            resources: {},
          },
        ],
      },
    },
  },
})
