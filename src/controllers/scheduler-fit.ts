// Does a Pod fit on the node? Pure; the filters and their words are those of pkg/scheduler/framework/plugins (1.32).

import type { StoredObject } from '../api/meta.ts'
import { tryParseQuantity } from '../api/quantity.ts'
import { matchesNode, type Taint, tolerates } from '../kinds/core/node-matching.ts'

/** Amounts by resource name, in nano units. */
export type Amounts = Map<string, bigint>

/** Why not; `helped` is false when removing other Pods would not help either. */
export interface Misfit {
  reason: string
  helped: boolean
}

export function add(into: Amounts, amounts: Record<string, string> | undefined): void {
  for (const [name, text] of Object.entries(amounts ?? {}))
    into.set(name, (into.get(name) ?? 0n) + (tryParseQuantity(String(text))?.nanos ?? 0n))
}

function atLeast(into: Amounts, other: Amounts): void {
  for (const [name, amount] of other) if (amount > (into.get(name) ?? 0n)) into.set(name, amount)
}

/** The more of what a container asks for and what the node has granted it: a resize may not be settled yet. */
function requestsOf(pod: StoredObject, container: any): Record<string, string> | undefined {
  const requests = container.resources?.requests
  const statuses = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])]
  const granted = statuses.find(({ name }: any) => name === container.name)?.allocatedResources
  if (!granted) return requests
  const infeasible = pod.status?.conditions?.some(
    ({ type, reason }: any) => type === 'PodResizePending' && reason === 'Infeasible',
  )
  if (infeasible) return { ...requests, ...granted }
  const more: Record<string, string> = { ...requests }
  for (const [name, amount] of Object.entries(granted as Record<string, string>))
    if (nanos(amount) > nanos(more[name])) more[name] = amount
  return more
}

const nanos = (amount: unknown): bigint => tryParseQuantity(String(amount ?? '0'))?.nanos ?? 0n

/** What a Pod asks for: its containers together, or more if an init container needs more, and the runtime's overhead. */
export function podRequests(pod: StoredObject): Amounts {
  const total: Amounts = new Map()
  for (const container of pod.spec.containers ?? []) add(total, requestsOf(pod, container))
  const peak: Amounts = new Map()
  const sidecars: Amounts = new Map()
  for (const container of pod.spec.initContainers ?? []) {
    const requests = container.restartPolicy === 'Always' ? requestsOf(pod, container) : container.resources?.requests
    if (container.restartPolicy === 'Always') {
      add(total, requests)
      add(sidecars, requests)
      atLeast(peak, sidecars)
      continue
    }
    const needed: Amounts = new Map(sidecars)
    add(needed, requests)
    atLeast(peak, needed)
  }
  atLeast(total, peak)
  // Resources of the whole Pod (1.32) stand above those of its containers.
  for (const [name, text] of Object.entries(pod.spec.resources?.requests ?? {}))
    total.set(name, tryParseQuantity(String(text))?.nanos ?? 0n)
  add(total, pod.spec.overhead)
  return total
}

/** What a machine takes of the node: guest memory or its request, and its CPUs' request. */
export function machineRequests(machine: StoredObject): Amounts {
  const { resources, memory, cpu } = machine.spec.domain ?? {}
  const total: Amounts = new Map()
  const cpus = (cpu?.cores ?? 1) * (cpu?.sockets ?? 1) * (cpu?.threads ?? 1)
  // A tenth of each virtual CPU, as KubeVirt's default cpuAllocationRatio has it.
  add(total, { memory: memory?.guest ?? '0', cpu: `${cpus * 100}m` })
  for (const [name, text] of Object.entries(resources?.requests ?? {}))
    total.set(name, tryParseQuantity(String(text))?.nanos ?? 0n)
  return total
}

export interface HostPort {
  port: number
  protocol: string
  ip: string
}

export function hostPorts(pod: StoredObject): HostPort[] {
  const found: HostPort[] = []
  for (const container of [...(pod.spec.containers ?? []), ...(pod.spec.initContainers ?? [])])
    for (const { hostPort, containerPort, protocol = 'TCP', hostIP } of container.ports ?? []) {
      const port = hostPort ?? (pod.spec.hostNetwork ? containerPort : undefined)
      if (port) found.push({ port, protocol, ip: hostIP || '0.0.0.0' })
    }
  return found
}

const clash = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0')

const unschedulableTaint: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }

/** A node as one Pod meets it: with what is there already. */
export interface Place {
  node: StoredObject
  used: Amounts
  podCount: number
  ports: HostPort[]
}

/** What the node itself says; the first kind of reason is the one that is told, as upstream. */
export function misfits(pod: StoredObject, place: Place): Misfit[] {
  const { node, ports } = place
  const final = (reason: string): Misfit[] => [{ reason, helped: false }]
  const { tolerations } = pod.spec
  if (node.spec?.unschedulable && !tolerates(tolerations, unschedulableTaint))
    return final('node(s) were unschedulable')
  const taint = (node.spec?.taints ?? []).find(
    (each: Taint) => each.effect !== 'PreferNoSchedule' && !tolerates(tolerations, each),
  )
  if (taint) return final(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`)
  if (!matchesNode(pod, node)) return final("node(s) didn't match Pod's node affinity/selector")
  const wanted = hostPorts(pod)
  if (wanted.length && ports.some((port) => wanted.some((own) => clash(own, port))))
    return [{ reason: "node(s) didn't have free ports for the requested pod ports", helped: true }]
  return resourceMisfits(pod, place)
}

function resourceMisfits(pod: StoredObject, { node, used, podCount }: Place): Misfit[] {
  const allocatable: Record<string, string> = node.status?.allocatable ?? {}
  const found: Misfit[] = []
  const capacity = Number(nanos(allocatable.pods) / 1_000_000_000n)
  if (podCount + 1 > capacity) found.push({ reason: 'Too many pods', helped: true })
  for (const [name, wanted] of podRequests(pod)) {
    const there = nanos(allocatable[name])
    if (wanted > 0n && wanted > there - (used.get(name) ?? 0n))
      found.push({ reason: `Insufficient ${name}`, helped: wanted <= there })
  }
  return found
}
