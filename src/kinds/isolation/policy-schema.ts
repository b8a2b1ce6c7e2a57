// The schema of a ClusterIsolationPolicy, with the words of `kubectl explain`.

import type { Schema } from '../../api/schema.ts'
import { levels } from './levels.ts'

const patterns = (description: string): Schema => ({
  type: 'array',
  description,
  items: { type: 'string', minLength: 1, maxLength: 512 },
  maxItems: 256,
})

const match: Schema = {
  type: 'object',
  description: 'Which Pods the rule is about: those that fit everything that is set here. Without it: all.',
  properties: {
    images: patterns(
      'Patterns of image names; a Pod fits when one of its containers has such an image. "nginx" is "docker.io/library/nginx:latest"; a pattern without tag fits every tag. "*" stands for any text.',
    ),
    exceptImages: patterns(
      'Patterns of image names that are left out: a Pod whose images all fit one of them is not meant.',
    ),
    serviceAccounts: patterns('Patterns of service accounts, "namespace/name", or "name" of any namespace.'),
    users: patterns(
      'Patterns of names of those who create: the Pod itself, or the object of whose template a controller makes Pods.',
    ),
    groups: patterns('Patterns of groups of those who create.'),
    namespaceSelector: { ref: 'meta.v1.LabelSelector', description: 'Labels of the namespace.' },
  },
}

const rule: Schema = {
  type: 'object',
  required: ['name'],
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 63, description: 'What errors and warnings call the rule.' },
    match,
    minimum: {
      type: 'string',
      enum: [...levels],
      description: 'The weakest isolation that such a Pod may have. Of several rules the strictest counts.',
    },
    runtimeClassName: {
      type: 'string',
      minLength: 1,
      description:
        'The RuntimeClass of such a Pod that names none itself. Of several rules the first counts: by priority, name and place.',
    },
  },
}

export const policySchema: Schema = {
  type: 'object',
  required: ['spec'],
  properties: {
    spec: {
      type: 'object',
      required: ['rules'],
      properties: {
        priority: {
          type: 'integer',
          format: 'int32',
          default: 0,
          description: 'Policies with a higher number come first, those with the same number by name.',
        },
        mode: {
          type: 'string',
          enum: ['Enforce', 'Warn', 'Audit'],
          default: 'Enforce',
          description:
            'What a Pod below the minimum meets: a refusal, a warning, or a note in the audit log. Warn and Audit choose no runtime class.',
        },
        rules: {
          type: 'array',
          listType: 'map',
          listMapKeys: ['name'],
          minItems: 1,
          maxItems: 100,
          items: rule,
        },
      },
    },
    status: {
      type: 'object',
      properties: {
        observedGeneration: { type: 'integer', format: 'int64' },
        conditions: {
          type: 'array',
          listType: 'map',
          listMapKeys: ['type'],
          items: { ref: 'meta.v1.Condition' },
        },
      },
    },
  },
}
