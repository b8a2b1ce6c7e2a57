// Whether a Pod has volumes whose content can change while it runs, and whether it changed what they tell of it.

import { isDeepStrictEqual } from 'node:util'
import type { PodObject } from './pod.ts'

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
