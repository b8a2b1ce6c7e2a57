// Values of the downward API: fields of the Pod and amounts of its resources, as text.
// Mirrored from pkg/fieldpath and pkg/api/v1/resource (Kubernetes 1.32).

import type { ResourceFieldSelector } from 'kubernetes-types/core/v1.js'
import { parseQuantity } from '../../api/quantity.ts'
import { type AnyContainer, allContainers, ContainerProblem, type PodObject } from './pod.ts'

/** What a Pod may learn about the machine. */
export interface NodeFacts {
  name: string
  /** First is status.hostIP. */
  addresses: string[]
  /** The node's allocatable: what a missing limit means. */
  cpu: number
  memoryBytes: number
}

/** @throws ContainerProblem for a field that does not exist */
export function fieldValue(pod: PodObject, path: string, from: { node: NodeFacts; podIPs: string[] }): string {
  const { metadata, spec } = pod
  const subscript = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path)
  if (subscript) return metadata[subscript[1] as 'labels' | 'annotations']?.[subscript[2]!] ?? ''
  const values: Record<string, () => string> = {
    'metadata.name': () => metadata.name,
    'metadata.namespace': () => metadata.namespace ?? '',
    'metadata.uid': () => metadata.uid,
    'metadata.labels': () => pairs(metadata.labels),
    'metadata.annotations': () => pairs(metadata.annotations),
    'spec.nodeName': () => spec.nodeName ?? from.node.name,
    'spec.serviceAccountName': () => spec.serviceAccountName ?? '',
    'status.hostIP': () => from.node.addresses[0] ?? '',
    'status.hostIPs': () => from.node.addresses.join(','),
    'status.podIP': () => from.podIPs[0] ?? '',
    'status.podIPs': () => from.podIPs.join(','),
  }
  if (!Object.hasOwn(values, path))
    throw new ContainerProblem('CreateContainerConfigError', `unsupported fieldPath: ${path}`)
  return values[path]!()
}

const pairs = (map: Record<string, string> = {}): string =>
  Object.keys(map)
    .sort()
    .map((key) => `${key}=${JSON.stringify(map[key])}`)
    .join('\n')

export function resourceValue(
  pod: PodObject,
  container: AnyContainer,
  ref: ResourceFieldSelector,
  node: NodeFacts,
): string {
  const target = ref.containerName ? allContainers(pod).find(({ name }) => name === ref.containerName) : container
  if (!target) throw new ContainerProblem('CreateContainerConfigError', `container ${ref.containerName} not found`)
  const [kind, name = ''] = ref.resource.split(/\.(.*)/s) as ['limits' | 'requests', string]
  const amount = target.resources?.[kind]?.[name] ?? (kind === 'limits' ? capacity(node, name) : '0')
  const divisor = parseQuantity(ref.divisor && ref.divisor !== '0' ? ref.divisor : '1').nanos
  return `${(parseQuantity(`${amount}`).nanos + divisor - 1n) / divisor}`
}

const capacity = (node: NodeFacts, resource: string): string =>
  resource === 'cpu' ? `${node.cpu}` : resource === 'memory' ? `${node.memoryBytes}` : '0'
