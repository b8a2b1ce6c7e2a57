// ReferenceGrant: whose objects of other namespaces may name objects of this one.

import { defineKind, type KindDefinition } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { schemaOf, types } from '../types.ts'

const group = 'gateway.networking.k8s.io'

const grant = (version: string): KindDefinition => ({
  group,
  version,
  kind: 'ReferenceGrant',
  plural: 'referencegrants',
  singular: 'referencegrant',
  shortNames: ['refgrant'],
  categories: ['gateway-api'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('gateway.v1.ReferenceGrant'),
  types,
  columns: [ageColumn],
  example: {
    apiVersion: `${group}/${version}`,
    kind: 'ReferenceGrant',
    metadata: { name: 'routes-of-shop', namespace: 'default' },
    spec: {
      from: [{ group, kind: 'HTTPRoute', namespace: 'shop' }],
      to: [{ group: '', kind: 'Service' }],
    },
  },
})

const as = (version: string) => (object: ApiObject) => ({ ...object, apiVersion: `${group}/${version}` })

/** Stored as v1beta1, as upstream's definition has it. */
export const referenceGrantV1 = defineKind({
  ...grant('v1'),
  storedAs: { group, version: 'v1beta1', toStored: as('v1beta1'), fromStored: as('v1') },
})

export const referenceGrant = defineKind(grant('v1beta1'))
