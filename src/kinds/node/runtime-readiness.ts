// What the node notes of each RuntimeClass, where everybody can see it: whether Pods of it can run here, and if not, why
// and what to do.

import type { ApiObject } from '../../api/meta.ts'

export const readyAnnotation = 'tandem.dev/ready'
export const reasonAnnotation = 'tandem.dev/reason'

/** OnDemand: what it needs is fetched with the first Pod. Refused: not ready, and no Pod will make it so. */
export type Readiness = 'True' | 'OnDemand' | 'False' | 'Unknown'

export const readinessOf = ({ metadata }: ApiObject): Readiness =>
  (metadata?.annotations?.[readyAnnotation] as Readiness | undefined) ?? 'Unknown'

export const reasonOf = ({ metadata }: ApiObject): string => metadata?.annotations?.[reasonAnnotation] ?? ''

/** On each node that can run Pods of a handler. */
export const nodeLabelOf = (className: string): string => `tandem.dev/runtime.${className}`
