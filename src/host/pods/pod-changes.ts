// What an update of a running Pod changes beside its plan: what volumes tell of it, and images that were waited for.

import { isDeepStrictEqual } from 'node:util'
import { allContainers, type PodObject } from './pod.ts'

export const needsRefresh = ({ spec }: PodObject): boolean =>
  (spec.volumes ?? []).some(
    ({ configMap, secret, projected, downwardAPI }) => configMap || secret || projected || downwardAPI,
  )

export const describedDifferently = (a: PodObject, b: PodObject): boolean =>
  !isDeepStrictEqual(described(a), described(b))

const described = ({ metadata, spec }: PodObject) => [
  metadata.labels,
  metadata.annotations,
  spec.containers.map(({ resources }) => resources),
]

/** Containers that have another image now: a wait for the old one is over. */
export function changedImages(before: PodObject, after: PodObject): string[] {
  const images = new Map(allContainers(before).map(({ name, image }) => [name, image]))
  return allContainers(after).flatMap(({ name, image }) => (images.get(name) === image ? [] : [name]))
}
