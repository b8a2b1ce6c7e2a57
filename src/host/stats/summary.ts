// stats/summary and the Prometheus pages of a kubelet, made of a measurement (k8s.io/kubelet/pkg/apis/stats/v1alpha1 and
// pkg/kubelet/metrics/collectors, 1.36). Pure.

import { formatTime } from '../../api/time.ts'
import type { GroupUsage } from './cgroup-usage.ts'
import type { PartUsage, Usage, WorkloadUsage } from './usage.ts'

export interface DiskSpace {
  availableBytes: number
  capacityBytes: number
  usedBytes: number
  inodesFree: number
  inodes: number
  inodesUsed: number
}

export interface SummaryInput {
  usage: Usage
  nodeName: string
  startedAt: number
  disk: DiskSpace
}

const cpu = (time: string, usage: GroupUsage & { nanoCores: number }) => ({
  time,
  usageNanoCores: usage.nanoCores,
  usageCoreNanoSeconds: usage.cpuNanos,
})

const memory = (time: string, usage: GroupUsage & { availableBytes?: number }) => ({
  time,
  ...(usage.availableBytes !== undefined && { availableBytes: usage.availableBytes }),
  usageBytes: usage.memoryBytes,
  workingSetBytes: usage.workingSetBytes,
  rssBytes: usage.rssBytes,
  pageFaults: usage.faults,
  majorPageFaults: usage.majorFaults,
})

export function summary({ usage, nodeName, startedAt, disk }: SummaryInput): Record<string, unknown> {
  const time = formatTime(usage.at)
  return {
    node: {
      nodeName,
      startTime: formatTime(startedAt),
      cpu: cpu(time, usage.node),
      memory: memory(time, usage.node),
      fs: { time, ...disk },
      runtime: { imageFs: { time, ...disk } },
    },
    pods: usage.workloads.map((workload) => podSummary(workload, time)),
  }
}

function podSummary({ namespace, name, uid, startedAt, parts }: WorkloadUsage, time: string) {
  const total = parts.reduce(add, { ...nothing })
  return {
    podRef: { name, namespace, uid },
    startTime: formatTime(startedAt),
    containers: parts.map((part) => ({
      name: part.name,
      startTime: formatTime(part.startedAt),
      cpu: cpu(time, part),
      memory: memory(time, part),
    })),
    cpu: cpu(time, total),
    memory: memory(time, total),
  }
}

const nothing: GroupUsage & { nanoCores: number } = {
  cpuNanos: 0,
  memoryBytes: 0,
  workingSetBytes: 0,
  rssBytes: 0,
  faults: 0,
  majorFaults: 0,
  nanoCores: 0,
}

function add(total: typeof nothing, part: PartUsage): typeof nothing {
  for (const name of Object.keys(nothing) as (keyof typeof nothing)[]) total[name] += part[name]
  return total
}

const escaped = (value: string): string => value.replace(/[\\"\n]/g, (one) => (one === '\n' ? '\\n' : `\\${one}`))

const labelled = (labels: Record<string, string>): string =>
  `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',')}}`

type Row = [labels: Record<string, string> | undefined, value: number]

function family(name: string, help: string, type: 'counter' | 'gauge', rows: Row[]): string {
  const lines = rows.map(([labels, value]) => `${name}${labels ? labelled(labels) : ''} ${value}`)
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.map((line) => `${line}\n`).join('')}`
}

/** metrics/resource: what an autoscaler needs. */
export function resourceMetrics({ usage, startedAt }: SummaryInput): string {
  const seconds = (nanos: number) => nanos / 1e9
  const containers = usage.workloads.flatMap(({ namespace, name, parts }) =>
    parts.map((part) => ({ part, labels: { container: part.name, namespace, pod: name } })),
  )
  const pods = usage.workloads.map(({ namespace, name, parts }) => ({
    labels: { namespace, pod: name },
    total: parts.reduce(add, { ...nothing }),
  }))
  return [
    family(
      'container_cpu_usage_seconds_total',
      'Processor time of the container, core-seconds.',
      'counter',
      containers.map(({ part, labels }) => [labels, seconds(part.cpuNanos)]),
    ),
    family(
      'container_memory_working_set_bytes',
      'Memory that the container works with, bytes.',
      'gauge',
      containers.map(({ part, labels }) => [labels, part.workingSetBytes]),
    ),
    family(
      'container_start_time_seconds',
      'When the container started, Unix time.',
      'gauge',
      containers.map(({ part, labels }) => [labels, part.startedAt / 1000]),
    ),
    family('node_cpu_usage_seconds_total', 'Processor time of the node, core-seconds.', 'counter', [
      [undefined, seconds(usage.node.cpuNanos)],
    ]),
    family('node_memory_working_set_bytes', 'Memory that the node works with, bytes.', 'gauge', [
      [undefined, usage.node.workingSetBytes],
    ]),
    family(
      'pod_cpu_usage_seconds_total',
      'Processor time of the Pod, core-seconds.',
      'counter',
      pods.map(({ labels, total }) => [labels, seconds(total.cpuNanos)]),
    ),
    family(
      'pod_memory_working_set_bytes',
      'Memory that the Pod works with, bytes.',
      'gauge',
      pods.map(({ labels, total }) => [labels, total.workingSetBytes]),
    ),
    family('resource_scrape_error', '1 when the usage of containers could not be read.', 'gauge', [[undefined, 0]]),
    family('node_start_time_seconds', 'When the node started, Unix time.', 'gauge', [[undefined, startedAt / 1000]]),
  ].join('')
}

/** metrics/cadvisor, as far as control groups tell it. */
export function cadvisorMetrics({ usage }: SummaryInput): string {
  const rows = usage.workloads.flatMap(({ namespace, name, parts }) =>
    parts.map((part) => ({ part, labels: { container: part.name, id: `/${part.id}`, namespace, pod: name } })),
  )
  const gauge = (metric: string, help: string, value: (part: PartUsage) => number) =>
    family(
      metric,
      help,
      'gauge',
      rows.map(({ part, labels }) => [labels, value(part)]),
    )
  return [
    family(
      'container_cpu_usage_seconds_total',
      'Processor time of the container, seconds.',
      'counter',
      rows.map(({ part, labels }) => [{ ...labels, cpu: 'total' }, part.cpuNanos / 1e9]),
    ),
    gauge(
      'container_memory_usage_bytes',
      'All memory of the container, caches included, bytes.',
      ({ memoryBytes }) => memoryBytes,
    ),
    gauge(
      'container_memory_working_set_bytes',
      'Memory that the container works with, bytes.',
      ({ workingSetBytes }) => workingSetBytes,
    ),
    gauge('container_memory_rss', 'Memory of the container that no file holds, bytes.', ({ rssBytes }) => rssBytes),
    gauge(
      'container_start_time_seconds',
      'When the container started, Unix time.',
      ({ startedAt }) => startedAt / 1000,
    ),
  ].join('')
}
