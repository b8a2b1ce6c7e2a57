// Whether an object may name one of another namespace: a ReferenceGrant there must say so (gateway-api, ReferenceGrant, 1.5).
// Pure.

import type { StoredObject } from '../../api/meta.ts'
import { gatewayGroup, type ObjectReference } from './specs.ts'

interface GrantSpec {
  from: { group: string; kind: string; namespace: string }[]
  to: { group: string; kind: string; name?: string }[]
}

export type IsGranted = (kind: string, from: string, to: ObjectReference & { namespace: string }) => boolean

/** `kind` is the kind of Gateway API that names `to`, `from` its namespace. */
export const grantedBy =
  (grants: readonly StoredObject[]): IsGranted =>
  (kind, from, { group = '', kind: toKind, namespace, name }) =>
    from === namespace ||
    grants.some(({ metadata, spec }) => {
      if (metadata.namespace !== namespace) return false
      const { from: sources, to: targets } = spec as unknown as GrantSpec
      return (
        sources.some((one) => one.group === gatewayGroup && one.kind === kind && one.namespace === from) &&
        targets.some((one) => one.group === group && one.kind === toKind && (!one.name || one.name === name))
      )
    })
