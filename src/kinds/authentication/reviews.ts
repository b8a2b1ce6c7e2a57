// Questions about identity: answered, never stored.

import { defineKind, type KindDefinition } from '../../api/kind.ts'
import { schemaOf, types } from '../types.ts'

const group = 'authentication.k8s.io'

const review = (kind: string, spec?: object): KindDefinition =>
  defineKind({
    group,
    version: 'v1',
    kind,
    plural: `${kind.toLowerCase()}s`,
    singular: kind.toLowerCase(),
    scope: 'Cluster',
    schema: schemaOf(`authentication.v1.${kind}`),
    types,
    virtual: true,
    columns: [],
    example: { apiVersion: `${group}/v1`, kind, metadata: {}, ...(spec && { spec }) },
  })

/** Who is behind this token? */
export const tokenReview = review('TokenReview', { token: 'abc' })
/** Who am I? */
export const selfSubjectReview = review('SelfSubjectReview')
