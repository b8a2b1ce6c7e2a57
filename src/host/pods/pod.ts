// The words of this room: a Pod as the driver reads it, and what can be said about it without looking at the machine.

import type { Container, EphemeralContainer, PodSpec, PodStatus } from 'kubernetes-types/core/v1.js'
import type { StoredObject } from '../../api/meta.ts'
import { parseQuantity, quantityMilli, quantityValue } from '../../api/quantity.ts'

export interface PodObject extends StoredObject {
  spec: PodSpec
  status?: PodStatus
}

export type { Container, PodSpec, PodStatus }

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

/** pkg/apis/core/v1/helper/qos (Kubernetes 1.32): only cpu and memory of main and init containers count. */
export function qosClass(pod: PodObject): QosClass {
  const containers = [...initContainers(pod), ...pod.spec.containers]
  const amounts = containers.map(({ resources }) => ({
    limits: { cpu: milliUnits(resources?.limits?.cpu), memory: wholeUnits(resources?.limits?.memory) },
    requests: { cpu: milliUnits(resources?.requests?.cpu), memory: wholeUnits(resources?.requests?.memory) },
  }))
  const any = amounts.some(({ limits, requests }) => limits.cpu || limits.memory || requests.cpu || requests.memory)
  if (!any) return 'BestEffort'
  const same = (limit: number, request: number) => limit > 0 && (request === 0 || request === limit)
  const guaranteed = amounts.every(
    ({ limits, requests }) => same(limits.cpu, requests.cpu) && same(limits.memory, requests.memory),
  )
  return guaranteed ? 'Guaranteed' : 'Burstable'
}

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
