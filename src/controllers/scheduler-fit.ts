// Does a Pod fit on the node? Pure; the filters and their words are those of pkg/scheduler/framework/plugins (1.32).

import type { StoredObject } from '../api/meta.ts'
import { tryParseQuantity } from '../api/quantity.ts'
import { isFinished } from './pod-state.ts'

/** Amounts by resource name, in nano units. */
export type Amounts = Map<string, bigint>

/** Why not; `helped` is false when removing other Pods would not help either. */
export interface Misfit {
  reason: string
  helped: boolean
}

function add(into: Amounts, amounts: Record<string, string> | undefined): void {
  for (const [name, text] of Object.entries(amounts ?? {}))
    into.set(name, (into.get(name) ?? 0n) + (tryParseQuantity(String(text))?.nanos ?? 0n))
}

function atLeast(into: Amounts, other: Amounts): void {
  for (const [name, amount] of other) if (amount > (into.get(name) ?? 0n)) into.set(name, amount)
}

/** What a Pod asks for: its containers together, or more if an init container needs more, and the runtime's overhead. */
export function podRequests(pod: StoredObject): Amounts {
  const total: Amounts = new Map()
  for (const container of pod.spec.containers ?? []) add(total, container.resources?.requests)
  const peak: Amounts = new Map()
  const sidecars: Amounts = new Map()
  for (const container of pod.spec.initContainers ?? []) {
    const requests = container.resources?.requests
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

interface HostPort {
  port: number
  protocol: string
  ip: string
}

function hostPorts(pod: StoredObject): HostPort[] {
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

function matchesExpression(value: string | undefined, operator: string, values: string[] = []): boolean {
  if (operator === 'In') return value !== undefined && values.includes(value)
  if (operator === 'NotIn') return value === undefined || !values.includes(value)
  if (operator === 'Exists') return value !== undefined
  if (operator === 'DoesNotExist') return value === undefined
  if (value === undefined || !/^-?\d+$/.test(value) || !/^-?\d+$/.test(values[0] ?? '')) return false
  return operator === 'Gt' ? BigInt(value) > BigInt(values[0]!) : BigInt(value) < BigInt(values[0]!)
}

/** One of the terms must hold; a term without any expression never does. */
export function matchesNodeTerms(node: StoredObject, terms: any[]): boolean {
  return terms.some(({ matchExpressions = [], matchFields = [] }) => {
    if (!matchExpressions.length && !matchFields.length) return false
    return (
      matchExpressions.every((e: any) => matchesExpression(node.metadata.labels?.[e.key], e.operator, e.values)) &&
      matchFields.every((f: any) => matchesExpression(node.metadata.name, f.operator, f.values))
    )
  })
}

export function matchesNode(pod: StoredObject, node: StoredObject): boolean {
  const labels = node.metadata.labels ?? {}
  const selected = Object.entries(pod.spec.nodeSelector ?? {}).every(([name, value]) => labels[name] === value)
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  return selected && (!required || matchesNodeTerms(node, required.nodeSelectorTerms ?? []))
}

interface Taint {
  key: string
  value?: string
  effect: string
}

export function tolerates(tolerations: any[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some(({ key, operator = 'Equal', value, effect }) => {
    if (effect && effect !== taint.effect) return false
    if (key && key !== taint.key) return false
    if (!key && operator !== 'Exists') return false
    return operator === 'Exists' || (value ?? '') === (taint.value ?? '')
  })
}

const unschedulableTaint: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }

/** Everything of the node that a Pod must get past; the first kind of reason is the one that is told, as upstream. */
export function misfits(pod: StoredObject, node: StoredObject, used: Amounts, others: StoredObject[]): Misfit[] {
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
  if (wanted.length && others.some((other) => hostPorts(other).some((port) => wanted.some((own) => clash(own, port)))))
    return [{ reason: "node(s) didn't have free ports for the requested pod ports", helped: true }]
  return resourceMisfits(pod, node, used, others.length)
}

function resourceMisfits(pod: StoredObject, node: StoredObject, used: Amounts, podCount: number): Misfit[] {
  const allocatable: Record<string, string> = node.status?.allocatable ?? {}
  const amount = (name: string): bigint => tryParseQuantity(String(allocatable[name] ?? '0'))?.nanos ?? 0n
  const found: Misfit[] = []
  const capacity = Number(amount('pods') / 1_000_000_000n)
  if (podCount + 1 > capacity) found.push({ reason: 'Too many pods', helped: true })
  for (const [name, wanted] of podRequests(pod)) {
    if (wanted === 0n) continue
    if (wanted > amount(name) - (used.get(name) ?? 0n))
      found.push({ reason: `Insufficient ${name}`, helped: wanted <= amount(name) })
  }
  return found
}

/** What runs on the node already takes this. */
export function usedOn(pods: StoredObject[], machines: StoredObject[]): Amounts {
  const used: Amounts = new Map()
  const addAll = (amounts: Amounts) => {
    for (const [name, amount] of amounts) used.set(name, (used.get(name) ?? 0n) + amount)
  }
  for (const pod of pods) if (!isFinished(pod)) addAll(podRequests(pod))
  for (const machine of machines) if (!isFinished(machine)) addAll(machineRequests(machine))
  return used
}

/** '0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. preemption: …' */
export function failureText(nodes: number, found: Misfit[]): string {
  if (nodes === 0) return 'no nodes available to schedule pods'
  const reasons = found.map(({ reason }) => `1 ${reason}`).sort()
  const preemption = found.every(({ helped }) => helped)
    ? 'No preemption victims found for incoming pod.'
    : 'Preemption is not helpful for scheduling.'
  return `0/${nodes} nodes are available: ${reasons.join(', ')}. preemption: 0/${nodes} nodes are available: 1 ${preemption}`
}
