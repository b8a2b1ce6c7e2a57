// What this node refuses to run although the API took it: a Pod that it cannot give what it asks for fails at once and
// says why. Pure. Reasons and texts mirrored from the kubelet (pkg/kubelet/sysctl, pkg/security/apparmor, 1.36).

import { type AnyContainer, allContainers, type PodObject } from './pod.ts'
import { dotted } from './spec.ts'

export interface Refusal {
  reason: string
  message: string
}

export interface NodeAbilities {
  appArmor: boolean
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
  { appArmor }: NodeAbilities,
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
  const wanted = hostPorts(pod)
  const taken = wanted.length ? others.flatMap(hostPorts) : []
  // The scheduler sees to it; a Pod that names its node itself has passed it by (pkg/kubelet/lifecycle, 1.36).
  if (wanted.some((port) => taken.some((other) => clash(port, other))))
    return {
      reason: 'NodePorts',
      message: "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
    }
  return undefined
}

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
