// What every kind that keeps a number of equal objects has: the scale subresource, and its counts as columns.

import type { Column, ScaleSubresource } from '../api/kind.ts'
import { ageColumn } from '../api/table.ts'
import { integer, specSelectorText } from './columns.ts'

/** Read and written at .spec.replicas; the selector is that of the spec. */
export const replicasScale: ScaleSubresource = {
  specReplicasPath: '.spec.replicas',
  statusReplicasPath: '.status.replicas',
  selector: (object) => specSelectorText(object.spec?.selector),
}

/** KubeVirt's controllers write the selector into the status. */
export const machineScale: ScaleSubresource = { ...replicasScale, selector: '.status.labelSelector' }

/** @param byDefault what is wanted where the spec does not say */
export const replicaColumns = (byDefault: number): Column[] => [
  integer('Desired', (object) => object.spec?.replicas ?? byDefault),
  integer('Current', (object) => object.status?.replicas ?? 0),
  integer('Ready', (object) => object.status?.readyReplicas ?? 0),
  ageColumn,
]
