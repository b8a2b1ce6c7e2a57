// How a Pod's sandbox and containers are named and labelled in the runtime, so that they are found again by nothing else.
// Keys mirrored from the kubelet (pkg/kubelet/kuberuntime/labels.go, 1.32).

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { FoundWorkload } from '../workload.ts'
import type { AnyContainer, PodObject } from './pod.ts'

export const labels = {
  podName: 'io.kubernetes.pod.name',
  podNamespace: 'io.kubernetes.pod.namespace',
  podUid: 'io.kubernetes.pod.uid',
  containerName: 'io.kubernetes.container.name',
} as const

export const annotations = {
  hash: 'io.kubernetes.container.hash',
  restartCount: 'io.kubernetes.container.restartCount',
  terminationMessagePath: 'io.kubernetes.container.terminationMessagePath',
  terminationMessagePolicy: 'io.kubernetes.container.terminationMessagePolicy',
  gracePeriod: 'io.kubernetes.pod.terminationGracePeriod',
  /** Ours: requests and limits that the container was made with, JSON. */
  resources: 'tandem.dev/container.resources',
} as const

export const podLabels = ({ metadata }: PodObject): Record<string, string> => ({
  [labels.podName]: metadata.name,
  [labels.podNamespace]: metadata.namespace ?? '',
  [labels.podUid]: metadata.uid,
})

/** What makes a running container another one when the Pod is edited: name and image are all that may change. */
export const containerHash = (container: AnyContainer): string =>
  createHash('sha256')
    .update(JSON.stringify([container.name, container.image]))
    .digest('hex')
    .slice(0, 8)

/** Directory of a Pod's logs below pod-logs. Neither part can contain "_". */
export const logDirectoryName = ({ metadata }: PodObject): string =>
  `${metadata.namespace ?? ''}_${metadata.name}_${metadata.uid}`

export function parseLogDirectoryName(name: string): FoundWorkload | undefined {
  const parts = name.split('_')
  if (parts.length !== 3 || !parts[2]) return undefined
  return { namespace: parts[0]!, name: parts[1]!, uid: parts[2] }
}

/** Below the Pod's log directory. */
export const logPath = (container: string, restartCount: number): string => join(container, `${restartCount}.log`)
