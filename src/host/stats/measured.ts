// Usage in the words of metrics.k8s.io (metrics-server, v1beta1). Pure.

import { formatTime } from '../../api/time.ts'
import type { Usage } from './usage.ts'

export interface Measured {
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; creationTimestamp: string }
  timestamp: string
  window: string
  [field: string]: unknown
}

const amounts = ({ nanoCores, workingSetBytes }: { nanoCores: number; workingSetBytes: number }) => ({
  cpu: `${nanoCores}n`,
  memory: `${Math.ceil(workingSetBytes / 1024)}Ki`,
})

/** '12.345s', as Go writes a duration. */
const windowText = (ms: number): string => `${ms / 1000}s`

export function nodeMetrics(usage: Usage, node: { name: string; labels: Record<string, string> }): Measured {
  const timestamp = formatTime(usage.at)
  return {
    metadata: { name: node.name, labels: node.labels, creationTimestamp: timestamp },
    timestamp,
    window: windowText(usage.windowMs),
    usage: amounts(usage.node),
  }
}

/** A virtual machine is shown among the Pods, with the one container that KubeVirt would have for it. */
export function podMetrics(usage: Usage): Measured[] {
  const timestamp = formatTime(usage.at)
  return usage.workloads.map(({ namespace, name, labels, parts }) => ({
    metadata: { name, namespace, labels, creationTimestamp: timestamp },
    timestamp,
    window: windowText(usage.windowMs),
    containers: parts.map((part) => ({ name: part.name, usage: amounts(part) })),
  }))
}
