// A kind under an older version of its group, as clients and manifests of former releases name it: the same objects, stored
// as the kind itself is.

import { defineKind, type KindDefinition } from '../api/kind.ts'
import type { ApiObject } from '../api/meta.ts'

export function olderVersion(kind: KindDefinition, version: string, deprecation?: string): KindDefinition {
  const { group } = kind
  const as = (name: string) => (object: ApiObject) => ({ ...object, apiVersion: `${group}/${name}` })
  return defineKind({
    ...kind,
    version,
    storedAs: { group, version: kind.version, toStored: as(kind.version), fromStored: as(version) },
    ...(deprecation && { deprecation }),
    example: as(version)(kind.example),
  })
}
