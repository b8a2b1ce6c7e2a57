// What this node refuses to run although the API took it: a Pod that it cannot give what it asks for fails at once and
// says why. Pure. Reasons and texts mirrored from the kubelet (pkg/kubelet/sysctl, pkg/security/apparmor,
// pkg/kubelet/lifecycle/predicate.go, 1.36).

import type { StoredObject } from '../../api/meta.ts'
import { tryParseQuantity } from '../../api/quantity.ts'
import { matchesNode, type Taint, tolerates } from '../../kinds/core/node-matching.ts'
import { aggregateRequests } from '../../kinds/core/resource-rules.ts'
import { type AnyContainer, allContainers, type PodObject } from './pod.ts'
import { dotted } from './spec.ts'

export interface Refusal {
  reason: string
  message: string
}

export interface NodeAbilities {
  appArmor: boolean
  /** As the API has it; unknown while it cannot be asked. */
  node?: StoredObject | undefined
}

/** Sysctls that belong to a namespace and cannot hurt anybody else (pkg/kubelet/sysctl/safe_sysctls.go, 1.36). */
const safeSysctls = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
])

/** `others`: the Pods that this node runs already. */
export function refusal(
  pod: PodObject,
  { appArmor, node }: NodeAbilities,
  others: readonly PodObject[] = [],
): Refusal | undefined {
  const context = (pod.spec.securityContext ?? {}) as Record<string, any>
  for (const { name } of context.sysctls ?? [])
    if (!safeSysctls.has(dotted(name)))
      return { reason: 'SysctlForbidden', message: `forbidden sysctl: "${name}" not allowlisted` }
  if (context.supplementalGroupsPolicy === 'Strict')
    return {
      reason: 'SupplementalGroupsPolicyNotSupported',
      message: 'SupplementalGroupsPolicy=Strict is not supported in this node',
    }
  if (!appArmor && allContainers(pod).some((container) => wantsAppArmor(context, container)))
    return { reason: 'AppArmor', message: 'Cannot enforce AppArmor: AppArmor is not enabled on the host' }
  return misfit(pod, node, others)
}

const predicate = (name: string, why: string): Refusal => ({
  reason: name,
  message: `Predicate ${name} failed: ${why}`,
})

/** The scheduler sees to all of this; a Pod that names its node itself has passed it by. */
function misfit(pod: PodObject, node: StoredObject | undefined, others: readonly PodObject[]): Refusal | undefined {
  const short = node && !isCritical(pod) ? shortage(pod, node, others) : undefined
  if (short) return short
  if (node && !matchesNode(pod as StoredObject, node))
    return predicate('NodeAffinity', "node(s) didn't match Pod's node affinity/selector")
  const wanted = hostPorts(pod)
  const taken = wanted.length ? others.flatMap(hostPorts) : []
  if (wanted.some((port) => taken.some((other) => clash(port, other))))
    return predicate('NodePorts', "node(s) didn't have free ports for the requested pod ports")
  const taints: Taint[] = node?.spec?.taints ?? []
  const tolerations = pod.spec.tolerations as any[] | undefined
  if (!isStatic(pod) && taints.some((taint) => taint.effect === 'NoExecute' && !tolerates(tolerations, taint)))
    return predicate('TaintToleration', "node(s) had taints that the pod didn't tolerate")
  return undefined
}

const isStatic = ({ metadata }: PodObject): boolean =>
  metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined

/** system-cluster-critical; the kubelet would end others for these: here they run beside them. */
const critical = 2_000_000_000
const isCritical = (pod: PodObject): boolean => isStatic(pod) || (pod.spec.priority ?? 0) >= critical

/** Every Pod that comes is compared with all that are here. */
const counted = new WeakMap<PodObject, Map<string, bigint>>()

function requestsOf(pod: PodObject): Map<string, bigint> {
  const known = counted.get(pod) ?? countRequests(pod)
  counted.set(pod, known)
  return known
}

function countRequests({ spec }: PodObject): Map<string, bigint> {
  const total = new Map([...aggregateRequests(spec)].map(([name, { nanos }]) => [name, nanos]))
  const whole = (spec.resources as { requests?: Record<string, string> } | undefined)?.requests ?? {}
  for (const [name, amount] of Object.entries(whole)) total.set(name, nanosOf(amount))
  const overhead = (spec as { overhead?: Record<string, string> }).overhead ?? {}
  for (const [name, amount] of Object.entries(overhead)) total.set(name, (total.get(name) ?? 0n) + nanosOf(amount))
  return total
}

const nanosOf = (amount: unknown): bigint => tryParseQuantity(String(amount ?? '0'))?.nanos ?? 0n

/** As upstream counts: processors in thousandths, everything else in whole units. */
const shown = (name: string, nanos: bigint): bigint => nanos / (name === 'cpu' ? 1_000_000n : 1_000_000_000n)

function shortage(pod: PodObject, node: StoredObject, others: readonly PodObject[]): Refusal | undefined {
  const allocatable: Record<string, string> = node.status?.allocatable ?? {}
  const lacks = (name: string, requested: bigint, used: bigint, capacity: bigint): Refusal => ({
    reason: `OutOf${name}`,
    message: `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`,
  })
  // A Pod that is on its way out makes room.
  const staying = others.filter(({ metadata }) => !metadata.deletionTimestamp)
  const most = shown('pods', nanosOf(allocatable.pods))
  if (BigInt(staying.length) + 1n > most) return lacks('pods', 1n, BigInt(staying.length), most)
  const wanted = [...requestsOf(pod)].filter(([name, amount]) => amount > 0n && allocatable[name] !== undefined)
  if (wanted.length === 0) return undefined
  const taken = staying.map(requestsOf)
  for (const [name, amount] of wanted.sort(([a], [b]) => order(a) - order(b))) {
    const used = taken.reduce((sum, requests) => sum + (requests.get(name) ?? 0n), 0n)
    const capacity = nanosOf(allocatable[name])
    if (amount > capacity - used) return lacks(name, shown(name, amount), shown(name, used), shown(name, capacity))
  }
  return undefined
}

const basic = ['cpu', 'memory', 'ephemeral-storage']
const order = (name: string): number => (basic.includes(name) ? basic.indexOf(name) : basic.length)

interface HostPort {
  port: number
  protocol: string
  ip: string
}

function hostPorts(pod: PodObject): HostPort[] {
  const ports: Record<string, any>[] = allContainers(pod).flatMap(
    (container) => ('ports' in container && container.ports) || [],
  )
  return ports
    .filter(({ hostPort }) => hostPort)
    .map(({ hostPort, protocol = 'TCP', hostIP }) => ({ port: hostPort, protocol, ip: hostIP || '0.0.0.0' }))
}

const clash = (a: HostPort, b: HostPort): boolean =>
  a.port === b.port && a.protocol === b.protocol && (a.ip === b.ip || a.ip === '0.0.0.0' || b.ip === '0.0.0.0')

function wantsAppArmor(podContext: Record<string, any>, container: AnyContainer): boolean {
  const own = (container.securityContext as Record<string, any> | undefined)?.appArmorProfile
  const type = (own ?? podContext.appArmorProfile)?.type
  return type !== undefined && type !== 'Unconfined'
}
