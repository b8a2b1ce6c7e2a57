// Defaults of a Pod and of Pod templates that depend on other fields (pkg/apis/core/v1/defaults.go, Kubernetes 1.36);
// the constant ones stand in the schema.

import type { ApiObject } from '../../api/meta.ts'
import { formatQuantity } from '../../api/quantity.ts'
import { aggregateRequests } from './resource-rules.ts'

/** An image without a tag, or with the tag "latest", is pulled each time. */
export function imagePullPolicyFor(image: string): string {
  const [withoutDigest = '', digest] = image.split('@')
  const tag = withoutDigest.slice(withoutDigest.lastIndexOf('/') + 1).split(':')[1]
  return tag === 'latest' || (tag === undefined && digest === undefined) ? 'Always' : 'IfNotPresent'
}

/** Used for Pods and for the templates of Deployments, ReplicaSets and Jobs. */
export function defaultPodSpec(spec: any): void {
  if (!spec || typeof spec !== 'object') return
  const containers = [...list(spec.containers), ...list(spec.initContainers), ...list(spec.ephemeralContainers)]
  for (const container of containers) {
    if (!container.imagePullPolicy && typeof container.image === 'string')
      container.imagePullPolicy = imagePullPolicyFor(container.image)
    if (spec.hostNetwork) for (const port of list(container.ports)) port.hostPort ||= port.containerPort
  }
  for (const volume of list(spec.volumes)) {
    if (Object.keys(volume).every((key) => key === 'name')) volume.emptyDir = {}
  }
  if (spec.serviceAccountName) spec.serviceAccount = spec.serviceAccountName
  else if (spec.serviceAccount) spec.serviceAccountName = spec.serviceAccount
}

export function defaultPod(pod: ApiObject): void {
  const { spec } = pod
  if (!spec || typeof spec !== 'object') return
  defaultPodSpec(spec)
  for (const container of [...list(spec.containers), ...list(spec.initContainers)]) defaultRequests(container)
  defaultPodResources(spec)
  spec.enableServiceLinks ??= true
  // A negative one means at once (pkg/apis/core/v1 conversion).
  if (spec.terminationGracePeriodSeconds < 0) spec.terminationGracePeriodSeconds = 1
}

/** What the Pod as a whole asks for: what its containers ask for together, else its limit. */
function defaultPodResources(spec: any): void {
  const { resources } = spec
  if (!resources?.limits && !resources?.requests) return
  const requests: Record<string, unknown> = { ...resources.requests }
  const together = aggregateRequests(spec)
  for (const name of ['cpu', 'memory']) {
    const sum = together.get(name)
    if (requests[name] === undefined && sum) requests[name] = formatQuantity(sum)
    else if (requests[name] === undefined && resources.limits?.[name] !== undefined)
      requests[name] = resources.limits[name]
  }
  if (Object.keys(requests).length) resources.requests = requests
}

/** A limit without a request is a request as well. */
function defaultRequests(container: any): void {
  const { resources } = container
  if (!resources?.limits || typeof resources.limits !== 'object') return
  const requests = { ...resources.limits, ...resources.requests }
  if (Object.keys(requests).length) resources.requests = requests
}

const list = (value: unknown): any[] =>
  Array.isArray(value) ? value.filter((item) => item && typeof item === 'object') : []
