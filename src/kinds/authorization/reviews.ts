// Questions about permission: answered, never stored.

import { defineKind, type KindDefinition } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'

const group = 'authorization.k8s.io'

const review = (kind: string, spec: object, namespace?: string): KindDefinition =>
  defineKind({
    group,
    version: 'v1',
    kind,
    plural: `${kind.toLowerCase()}s`,
    singular: kind.toLowerCase(),
    scope: namespace ? 'Namespaced' : 'Cluster',
    schema: schemaOf(`authorization.v1.${kind}`),
    types,
    virtual: true,
    columns: [],
    example: { apiVersion: `${group}/v1`, kind, metadata: { ...(namespace && { namespace }) }, spec },
  })

const resourceAttributes = { namespace: 'default', verb: 'get', resource: 'pods' }

/** May this user do it? */
export const subjectAccessReview = review('SubjectAccessReview', { user: 'jane', resourceAttributes })
/** May this user do it in this namespace? */
export const localSubjectAccessReview = review(
  'LocalSubjectAccessReview',
  { user: 'jane', resourceAttributes },
  'default',
)
/** May I do it? */
export const selfSubjectAccessReview = review('SelfSubjectAccessReview', { resourceAttributes })
/** What may I do in this namespace? */
export const selfSubjectRulesReview = review('SelfSubjectRulesReview', { namespace: 'default' })
