// The baseline standard: known ways from a container to its machine are closed (pod-security-admission/policy, 1.36).

import { type Check, containersOf, hasOwnUsers, named, namesWhere, plural, quoted, setters, sorted } from './check.ts'

const appArmorPrefix = 'container.apparmor.security.beta.kubernetes.io/'

const appArmorProfile: Check = {
  id: 'appArmorProfile',
  since: 0,
  check(pod) {
    const bad = (context: any): boolean =>
      context?.appArmorProfile && !['RuntimeDefault', 'Localhost'].includes(context.appArmorProfile.type)
    const typeOf = (context: any): string[] => (bad(context) ? [context.appArmorProfile.type] : [])
    const names = namesWhere(pod, ({ securityContext }) => bad(securityContext))
    const contexts = [pod.spec.securityContext, ...containersOf(pod).map((one) => one.securityContext)]
    const annotations = Object.entries(pod.metadata.annotations ?? {})
      .filter(([key, value]) => key.startsWith(appArmorPrefix) && !allowedAnnotation(value))
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
      .sort()
    const who = [setters(bad(pod.spec.securityContext), names)].filter(Boolean)
    if (annotations.length > 0) who.push(plural('annotation', annotations.length))
    if (who.length === 0) return undefined
    const values = [...sorted(contexts.flatMap(typeOf)), ...annotations]
    return {
      reason: plural('forbidden AppArmor profile', values.length),
      detail: `${who.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`,
    }
  },
}

const allowedAnnotation = (value: string): boolean =>
  value === '' || value === 'runtime/default' || value.startsWith('localhost/')

const defaultCapabilities = new Set([
  ...['AUDIT_WRITE', 'CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'MKNOD', 'NET_BIND_SERVICE'],
  ...['SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT'],
])

const capabilities: Check = {
  id: 'capabilities_baseline',
  since: 0,
  check(pod) {
    const added = ({ securityContext }: any): string[] =>
      (securityContext?.capabilities?.add ?? []).filter((one: string) => !defaultCapabilities.has(one))
    const names = namesWhere(pod, (container) => added(container).length > 0)
    if (names.length === 0) return undefined
    const list = quoted(sorted(containersOf(pod).flatMap(added)))
    return {
      reason: 'non-default capabilities',
      detail: `${named(names)} must not include ${list} in securityContext.capabilities.add`,
    }
  },
}

const hostNamespaces: Check = {
  id: 'hostNamespaces',
  since: 0,
  check({ spec }) {
    const shared = ['hostNetwork', 'hostPID', 'hostIPC'].filter((field) => spec[field] === true)
    if (shared.length === 0) return undefined
    return { reason: 'host namespaces', detail: shared.map((field) => `${field}=true`).join(', ') }
  },
}

const hostPathVolumes: Check = {
  id: 'hostPathVolumes',
  since: 0,
  check({ spec }) {
    const names = (spec.volumes ?? []).filter((one: any) => one.hostPath).map((one: any) => one.name)
    return names.length > 0 ? { reason: 'hostPath volumes', detail: named(names, 'volume') } : undefined
  },
}

const hostPorts: Check = {
  id: 'hostPorts',
  since: 0,
  check(pod) {
    const portsOf = ({ ports = [] }: any): string[] =>
      ports.flatMap(({ hostPort }: { hostPort?: number }) => (hostPort ? [String(hostPort)] : []))
    const names = namesWhere(pod, (container) => portsOf(container).length > 0)
    if (names.length === 0) return undefined
    const ports = sorted(containersOf(pod).flatMap(portsOf))
    const uses = plural('uses', names.length, 'use')
    return {
      reason: 'hostPort',
      detail: `${named(names)} ${uses} ${plural('hostPort', ports.length)} ${ports.join(', ')}`,
    }
  },
}

const hostProbes: Check = {
  id: 'hostProbesAndHostLifecycle',
  since: 34,
  check(pod) {
    const hostsOf = (container: any): string[] => {
      const { livenessProbe, readinessProbe, startupProbe, lifecycle = {} } = container
      const actions = [livenessProbe, readinessProbe, startupProbe, lifecycle.postStart, lifecycle.preStop]
      return actions.flatMap((one) => [one?.httpGet?.host, one?.tcpSocket?.host]).filter(Boolean)
    }
    const names = sorted(namesWhere(pod, (container) => hostsOf(container).length > 0))
    if (names.length === 0) return undefined
    const hosts = sorted(containersOf(pod).flatMap(hostsOf))
    const uses = plural('uses', names.length, 'use')
    return {
      reason: 'probe or lifecycle host',
      detail: `${named(names)} ${uses} ${plural('probe or lifecycle host', hosts.length)} ${quoted(hosts)}`,
    }
  },
}

const privileged: Check = {
  id: 'privileged',
  since: 0,
  check(pod) {
    const names = namesWhere(pod, ({ securityContext }) => securityContext?.privileged === true)
    if (names.length === 0) return undefined
    return { reason: 'privileged', detail: `${named(names)} must not set securityContext.privileged=true` }
  },
}

export const unmaskedProc: Check['check'] = (pod) => {
  const bad = ({ securityContext }: any): boolean =>
    securityContext?.procMount !== undefined && securityContext.procMount !== 'Default'
  const names = namesWhere(pod, bad)
  if (names.length === 0) return undefined
  const types = sorted(
    containersOf(pod)
      .filter(bad)
      .map((one) => one.securityContext.procMount),
  )
  return { reason: 'procMount', detail: `${named(names)} must not set securityContext.procMount to ${quoted(types)}` }
}

const procMount: Check = {
  id: 'procMount',
  since: 0,
  check: (pod, minor) => (minor >= 35 && hasOwnUsers(pod) ? undefined : unmaskedProc(pod, minor)),
}

const seLinuxTypes = ['', 'container_t', 'container_init_t', 'container_kvm_t']

const seLinuxOptions: Check = {
  id: 'seLinuxOptions',
  since: 0,
  check(pod, minor) {
    const allowed = minor >= 31 ? [...seLinuxTypes, 'container_engine_t'] : seLinuxTypes
    const badType = (options: any): boolean => !allowed.includes(options.type ?? '')
    const bad = ({ securityContext }: any): boolean => {
      const options = securityContext?.seLinuxOptions
      return Boolean(options && (badType(options) || options.user || options.role))
    }
    const names = namesWhere(pod, bad)
    const who = setters(bad(pod.spec), names)
    if (who === '') return undefined
    const all = [pod.spec, ...containersOf(pod)].flatMap((one) => one.securityContext?.seLinuxOptions ?? [])
    const types = sorted(all.filter(badType).map((options) => options.type))
    const problems = [
      ...(types.length > 0 ? [`${plural('type', types.length)} ${quoted(types)}`] : []),
      ...(all.some((options) => options.user) ? ['user may not be set'] : []),
      ...(all.some((options) => options.role) ? ['role may not be set'] : []),
    ]
    return {
      reason: 'seLinuxOptions',
      detail: `${who} set forbidden securityContext.seLinuxOptions: ${problems.join('; ')}`,
    }
  },
}

const seccompPod = 'seccomp.security.alpha.kubernetes.io/pod'
const seccompContainer = 'container.seccomp.security.alpha.kubernetes.io/'

/** Before 1.19 the profile was an annotation. */
const seccompAnnotations: Check['check'] = (pod) => {
  const keys = [seccompPod, ...containersOf(pod).map(({ name }) => seccompContainer + name)]
  const bad = keys.flatMap((key) => {
    const value = pod.metadata.annotations?.[key]
    const allowed = value === undefined || /^(runtime\/default|docker\/default|localhost\/.*)$/s.test(value)
    return allowed ? [] : [`${key}=${JSON.stringify(value)}`]
  })
  if (bad.length === 0) return undefined
  return {
    reason: 'seccompProfile',
    detail: `forbidden ${plural('annotation', sorted(bad).length)} ${sorted(bad).join(', ')}`,
  }
}

export const hasBadSeccomp = ({ securityContext }: any): boolean =>
  securityContext?.seccompProfile !== undefined &&
  !['Localhost', 'RuntimeDefault'].includes(securityContext.seccompProfile.type)

export const badSeccomp: Check['check'] = (pod) => {
  const names = namesWhere(pod, hasBadSeccomp)
  const who = setters(hasBadSeccomp(pod.spec), names)
  if (who === '') return undefined
  const types = [pod.spec, ...containersOf(pod)].flatMap((one) =>
    hasBadSeccomp(one) ? [String(one.securityContext.seccompProfile.type ?? '')] : [],
  )
  return {
    reason: 'seccompProfile',
    detail: `${who} must not set securityContext.seccompProfile.type to ${quoted(sorted(types))}`,
  }
}

const seccompProfile: Check = {
  id: 'seccompProfile_baseline',
  since: 0,
  check: (pod, minor) => (minor >= 19 ? badSeccomp(pod, minor) : seccompAnnotations(pod, minor)),
}

/** Which parameters of the kernel are a Pod's own, from which version on. */
const safeSysctls: [number, string[]][] = [
  [
    0,
    [
      ...['kernel.shm_rmid_forced', 'net.ipv4.ip_local_port_range', 'net.ipv4.tcp_syncookies'],
      ...['net.ipv4.ping_group_range', 'net.ipv4.ip_unprivileged_port_start'],
    ],
  ],
  [27, ['net.ipv4.ip_local_reserved_ports']],
  [
    29,
    [
      ...['net.ipv4.tcp_keepalive_time', 'net.ipv4.tcp_fin_timeout'],
      ...['net.ipv4.tcp_keepalive_intvl', 'net.ipv4.tcp_keepalive_probes'],
    ],
  ],
  [32, ['net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem']],
]

const sysctls: Check = {
  id: 'sysctls',
  since: 0,
  check({ spec }, minor) {
    const safe = safeSysctls.flatMap(([since, names]) => (minor >= since ? names : []))
    const names: string[] = (spec.securityContext?.sysctls ?? []).map((one: { name: string }) => one.name)
    const forbidden = names.filter((name) => !safe.includes(name))
    return forbidden.length > 0 ? { reason: 'forbidden sysctls', detail: forbidden.join(', ') } : undefined
  },
}

const windowsHostProcess: Check = {
  id: 'windowsHostProcess',
  since: 0,
  check(pod) {
    const bad = ({ securityContext }: any): boolean => securityContext?.windowsOptions?.hostProcess === true
    const who = setters(bad(pod.spec), namesWhere(pod, bad))
    if (who === '') return undefined
    return { reason: 'hostProcess', detail: `${who} must not set securityContext.windowsOptions.hostProcess=true` }
  },
}

/** In the order in which their violations are told. */
export const baselineChecks: readonly Check[] = [
  appArmorProfile,
  capabilities,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  hostProbes,
  privileged,
  procMount,
  seLinuxOptions,
  seccompProfile,
  sysctls,
  windowsHostProcess,
]
