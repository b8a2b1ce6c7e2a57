// What the node says of its use: metrics.k8s.io, and the pages of a kubelet.

import { uptime } from 'node:os'
import { realClock } from '../base/clock.ts'
import type { Client } from '../client/client.ts'
import { type Config, defaults } from '../config.ts'
import type { Machines } from '../host/machines/machines.ts'
import type { Pods } from '../host/pods/pods.ts'
import type { StatePaths } from '../host/state.ts'
import { nodeMetrics, podMetrics } from '../host/stats/measured.ts'
import { createNodePages } from '../host/stats/node-pages.ts'
import { createUsage, type Measurable } from '../host/stats/usage.ts'
import { launcherName } from '../kinds/kubevirt/launcher-pod.ts'
import type { NodeParts } from './platform.ts'

interface MeasuredParts {
  config: Config
  paths: StatePaths
  pods: Pods
  machines: Machines
  client: Client
}

export function measures({ config, paths, pods, machines, client }: MeasuredParts) {
  const { nodeName } = config
  const startedAt = Date.now() - uptime() * 1000
  const guests = (): Measurable[] =>
    machines.running().map(({ pid, ...rest }) => ({
      ...rest,
      // As the Pod that those who read measurements know it by.
      name: launcherName(rest.name, rest.uid),
      kind: 'VirtualMachineInstance',
      labels: { 'kubevirt.io': 'virt-launcher', 'kubevirt.io/domain': rest.name, 'vm.kubevirt.io/name': rest.name },
      startedAt,
      parts: [{ name: 'compute', id: rest.uid, source: { pid }, startedAt }],
    }))
  const usage = createUsage({ measurables: () => [...pods.measurables(), ...guests()], clock: realClock })
  const labels = async () =>
    (await client.get({ group: '', version: 'v1', resource: 'nodes' }, nodeName)).metadata.labels ?? {}
  const parts: Pick<NodeParts, 'measured' | 'pages'> = {
    measured: {
      nodes: async () => [nodeMetrics(await usage(), { name: nodeName, labels: await labels() })],
      pods: async () => podMetrics(await usage()),
    },
    pages: createNodePages({
      nodeName,
      stateDir: paths.root,
      startedAt,
      usage,
      pods: pods.objects,
      logs: pods.podLogs,
      settings: {
        clusterDomain: config.clusterDomain,
        staticPodPath: paths.manifests,
        maxPods: config.maxPods ?? defaults.maxPods,
      },
    }),
  }
  return { ...parts, usage }
}
