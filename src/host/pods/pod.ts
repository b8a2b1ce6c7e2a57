// The words of this room: a Pod as the driver reads it, and what can be said about it without looking at the machine.

import type {
  EphemeralContainer,
  PodStatus,
  Container as TypedContainer,
  PodSpec as TypedPodSpec,
} from 'kubernetes-types/core/v1.js'
import type { StoredObject } from '../../api/meta.ts'
import { parseQuantity, quantityMilli, quantityValue } from '../../api/quantity.ts'
import { qosClassOf } from '../../kinds/core/resource-rules.ts'

/** Amounts by the name of what is asked for. */
export type Amounts = Record<string, string>

export interface Resources {
  requests?: Amounts
  limits?: Amounts
}

/** Fields that are newer than the types that come with kubernetes-types. */
export interface PodSpec extends TypedPodSpec {
  resources?: Resources
  hostnameOverride?: string
}

export interface Container extends TypedContainer {
  resizePolicy?: { resourceName: string; restartPolicy: string }[]
  restartPolicyRules?: unknown[]
}

export interface PodObject extends StoredObject {
  spec: PodSpec
  status?: PodStatus
}

export type { PodStatus }

/** Main, init and ephemeral containers in one shape: the last lack probes and ports. */
export type AnyContainer = Container | (EphemeralContainer & { name: string })

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort'

/** An init container that keeps running beside the main ones. */
export const isSidecar = (container: Container): boolean => container.restartPolicy === 'Always'

export const initContainers = (pod: PodObject): Container[] => pod.spec.initContainers ?? []
export const ephemeralContainers = (pod: PodObject): EphemeralContainer[] => pod.spec.ephemeralContainers ?? []

export const allContainers = (pod: PodObject): AnyContainer[] => [
  ...initContainers(pod),
  ...pod.spec.containers,
  ...ephemeralContainers(pod),
]

/** How Events name a container: "spec.initContainers{setup}". */
export function fieldPathOf(pod: PodObject, name: string): string {
  if (initContainers(pod).some((container) => container.name === name)) return `spec.initContainers{${name}}`
  if (ephemeralContainers(pod).some((container) => container.name === name)) return `spec.ephemeralContainers{${name}}`
  return `spec.containers{${name}}`
}

/** Bytes, whole cores …; rounded up. */
export const wholeUnits = (quantity: string | undefined): number =>
  quantity === undefined ? 0 : Number(quantityValue(parseQuantity(`${quantity}`)))

export const milliUnits = (quantity: string | undefined): number =>
  quantity === undefined ? 0 : Number(quantityMilli(parseQuantity(`${quantity}`)))

export const qosClass = ({ spec }: PodObject): QosClass => qosClassOf(spec) as QosClass

export const isFinal = ({ status }: PodObject): boolean => status?.phase === 'Succeeded' || status?.phase === 'Failed'

const defaultGraceSeconds = 30

/** How long a Pod has to end: what the deletion said, else what it asks for. */
export const graceOf = ({ metadata, spec }: PodObject): number =>
  metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? defaultGraceSeconds

/** 'web_shop(4f1c…)': how the kubelet's messages name a Pod. */
export const podText = ({ metadata }: PodObject): string =>
  `${metadata.name}_${metadata.namespace ?? ''}(${metadata.uid})`

/** A container that cannot be created as the Pod asks; `reason` becomes waiting.reason. */
export class ContainerProblem extends Error {
  readonly reason: string
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ContainerProblem'
    this.reason = reason
  }
}
