// Rules for a Service (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsLabelProblems, dnsSubdomainProblems, qualifiedNameProblems } from '../../api/names.ts'
import { validateLabels } from '../../api/validate-meta.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { addressNumber, checkAddress, checkRange } from '../rules/addresses.ts'
import { checkEndpointAddress } from '../rules/endpoint-address.ts'
import { checkPort, checkPortOrName } from '../rules/names.ts'

const balanced = 'LoadBalancer'
const external = ['NodePort', balanced]
const ifBalanced = "may only be used when `type` is 'LoadBalancer'"
const topologyMode = 'service.kubernetes.io/topology-mode'
const topologyHints = 'service.kubernetes.io/topology-aware-hints'

const isReachable = (spec: any): boolean =>
  external.includes(spec.type) || (spec.type === 'ClusterIP' && spec.externalIPs?.length > 0)

export function validateService({ metadata, spec }: ApiObject): FieldError[] {
  if (!spec) return []
  const headless = spec.clusterIP === 'None'
  const errors: FieldError[] = validateLabels(spec.selector, 'spec.selector')
  const { [topologyMode]: mode, [topologyHints]: hints } = metadata.annotations ?? {}
  if (mode !== undefined && hints !== undefined && mode !== hints)
    errors.push(
      invalidValue(
        `metadata.annotations[${topologyMode}]`,
        mode,
        `must match annotations[${topologyHints}] when both are specified`,
      ),
    )
  if (!spec.ports?.length && !headless && spec.type !== 'ExternalName') errors.push(requiredValue('spec.ports'))
  errors.push(...validateType(spec, headless), ...validatePorts(spec), ...validateAffinity(spec))
  errors.push(...validateFamilies(spec), ...validateBalancer(spec, metadata.annotations), ...validatePolicies(spec))
  for (const [index, address] of (spec.externalIPs ?? []).entries())
    errors.push(...checkEndpointAddress(`spec.externalIPs[${index}]`, address))
  return errors
}

const longestAffinity = 86_400

function validateAffinity({ sessionAffinity, sessionAffinityConfig }: any): FieldError[] {
  const at = 'spec.sessionAffinityConfig'
  if (sessionAffinity === 'None' && sessionAffinityConfig)
    return [forbidden(at, 'must not be set when session affinity is None')]
  if (sessionAffinity !== 'ClientIP') return []
  const seconds = sessionAffinityConfig?.clientIP?.timeoutSeconds
  if (seconds === undefined) return [requiredValue(`${at}.clientIP.timeoutSeconds`)]
  if (seconds > 0 && seconds <= longestAffinity) return []
  return [
    invalidValue(`${at}.clientIP.timeoutSeconds`, seconds, `must be greater than 0 and less than ${longestAffinity}`),
  ]
}

function validateFamilies({ ipFamilies, ipFamilyPolicy, clusterIPs }: any): FieldError[] {
  const errors: FieldError[] = []
  for (const [index, family] of (ipFamilies ?? []).entries())
    if (family === 'IPv6')
      errors.push(invalidValue(`spec.ipFamilies[${index}]`, 'IPv6', 'not configured on this cluster'))
  if (ipFamilyPolicy === 'RequireDualStack')
    errors.push(
      invalidValue('spec.ipFamilyPolicy', 'RequireDualStack', 'this cluster is not configured for dual-stack services'),
    )
  if (clusterIPs?.length > 1)
    errors.push(
      invalidValue(
        'spec.clusterIPs',
        clusterIPs,
        'may only hold one value: this cluster is not configured for dual-stack',
      ),
    )
  for (const [index, address] of (clusterIPs ?? []).entries())
    if (address !== 'None') errors.push(...checkAddress(`spec.clusterIPs[${index}]`, address))
  return errors
}

const rangesAnnotation = 'service.beta.kubernetes.io/load-balancer-source-ranges'

function validateRangesAnnotation(annotations: any, ranges: string[], isBalanced: boolean): FieldError[] {
  const text = annotations?.[rangesAnnotation]
  if (text === undefined || ranges.length > 0) return []
  const at = `metadata.annotations[${rangesAnnotation}]`
  const errors = isBalanced ? [] : [forbidden(at, ifBalanced)]
  const parts = String(text).trim() ? String(text).split(',') : []
  return [...errors, ...parts.flatMap((part) => checkRange(at, part.trim()))]
}

function validateBalancer(spec: any, annotations: any): FieldError[] {
  const errors: FieldError[] = []
  const isBalanced = spec.type === balanced
  const { loadBalancerSourceRanges: ranges = [], loadBalancerClass } = spec
  // Upstream spells this path with a capital letter.
  if (ranges.length > 0 && !isBalanced) errors.push(forbidden('spec.LoadBalancerSourceRanges', ifBalanced))
  for (const [index, range] of ranges.entries())
    errors.push(...checkRange(`spec.LoadBalancerSourceRanges[${index}]`, String(range).trim()))
  errors.push(...validateRangesAnnotation(annotations, ranges, isBalanced))
  if (spec.allocateLoadBalancerNodePorts !== undefined && !isBalanced)
    errors.push(forbidden('spec.allocateLoadBalancerNodePorts', ifBalanced))
  if (loadBalancerClass === undefined) return errors
  if (!isBalanced) return [...errors, forbidden('spec.loadBalancerClass', ifBalanced)]
  const problems = qualifiedNameProblems(loadBalancerClass)
  return [...errors, ...problems.map((text) => invalidValue('spec.loadBalancerClass', loadBalancerClass, text))]
}

const distributions = ['PreferClose', 'PreferSameZone', 'PreferSameNode']

function validatePolicies(spec: any): FieldError[] {
  const errors: FieldError[] = []
  const { externalTrafficPolicy, healthCheckNodePort, trafficDistribution } = spec
  if (externalTrafficPolicy && !isReachable(spec))
    errors.push(
      invalidValue(
        'spec.externalTrafficPolicy',
        externalTrafficPolicy,
        'may only be set for externally-accessible services',
      ),
    )
  if (healthCheckNodePort && !needsHealthCheck(spec))
    errors.push(
      invalidValue(
        'spec.healthCheckNodePort',
        healthCheckNodePort,
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ),
    )
  else if (healthCheckNodePort) errors.push(...checkPort('spec.healthCheckNodePort', healthCheckNodePort))
  if (trafficDistribution !== undefined && !distributions.includes(trafficDistribution))
    errors.push(notSupported('spec.trafficDistribution', trafficDistribution, distributions))
  return errors
}

export const needsHealthCheck = (spec: any): boolean =>
  spec?.type === balanced && spec.externalTrafficPolicy === 'Local'

function validateType(spec: any, headless: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (spec.type === 'ExternalName') {
    if (spec.clusterIPs?.length || spec.clusterIP)
      errors.push(forbidden('spec.clusterIPs', 'may not be set for ExternalName services'))
    if (spec.ipFamilies?.length) errors.push(forbidden('spec.ipFamilies', 'may not be set for ExternalName services'))
    if (spec.ipFamilyPolicy !== undefined)
      errors.push(forbidden('spec.ipFamilyPolicy', 'may not be set for ExternalName services'))
    const name = (spec.externalName ?? '').replace(/\.$/, '')
    if (!name) errors.push(requiredValue('spec.externalName'))
    else
      errors.push(
        ...dnsSubdomainProblems(name).map((problem) => invalidValue('spec.externalName', spec.externalName, problem)),
      )
  } else if (headless && spec.type !== 'ClusterIP')
    errors.push(invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`))
  return errors
}

/** What the status says of a load balancer (ValidateLoadBalancerStatus). */
export function validateServiceStatus({ spec = {}, status }: ApiObject): FieldError[] {
  const at = 'status.loadBalancer.ingress'
  const entries: any[] = status?.loadBalancer?.ingress ?? []
  if (entries.length > 0 && spec.type !== balanced)
    return [forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'")]
  return entries.flatMap(({ ip, ipMode, hostname }, index) => {
    const path = `${at}[${index}]`
    const errors = ip ? checkAddress(`${path}.ip`, ip) : []
    if (ipMode === undefined && ip) errors.push(requiredValue(`${path}.ipMode`, 'must be specified when `ip` is set'))
    else if (ipMode !== undefined && !ip)
      errors.push(forbidden(`${path}.ipMode`, 'may not be specified when `ip` is not set'))
    else if (ipMode !== undefined && !['Proxy', 'VIP'].includes(ipMode))
      errors.push(notSupported(`${path}.ipMode`, ipMode, ['Proxy', 'VIP']))
    if (!hostname) return errors
    const problems = dnsSubdomainProblems(hostname)
    if (addressNumber(hostname)) problems.push('must be a DNS name, not an IP address')
    return [...errors, ...problems.map((problem) => invalidValue(`${path}.hostname`, hostname, problem))]
  })
}

function validatePorts(spec: any): FieldError[] {
  const ports: any[] = spec.ports ?? []
  const errors: FieldError[] = []
  const names = new Set<string>()
  const places = new Set<string>()
  const nodePorts = new Set<string>()
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`
    errors.push(...validatePort(port, at, spec.type, ports.length > 1))
    if (port.name && names.has(port.name)) errors.push(duplicateValue(`${at}.name`, port.name))
    names.add(port.name)
    const place = `${port.protocol}/${port.port}`
    if (places.has(place)) errors.push(duplicateValue(at, { port: port.port, protocol: port.protocol }))
    places.add(place)
    if (!port.nodePort) continue
    const node = `${port.protocol}/${port.nodePort}`
    if (nodePorts.has(node)) errors.push(duplicateValue(`${at}.nodePort`, port.nodePort))
    nodePorts.add(node)
  }
  return errors
}

function validatePort(port: any, at: string, type: string, needsName: boolean): FieldError[] {
  const errors = checkPort(`${at}.port`, port.port)
  if (port.name)
    errors.push(...dnsLabelProblems(port.name).map((problem) => invalidValue(`${at}.name`, port.name, problem)))
  else if (needsName) errors.push(requiredValue(`${at}.name`))
  if (port.targetPort !== undefined) errors.push(...checkPortOrName(`${at}.targetPort`, port.targetPort))
  if (port.appProtocol)
    errors.push(
      ...qualifiedNameProblems(port.appProtocol).map((text) =>
        invalidValue(`${at}.appProtocol`, port.appProtocol, text),
      ),
    )
  if (port.nodePort && type === 'ClusterIP')
    errors.push(forbidden(`${at}.nodePort`, "may not be used when `type` is 'ClusterIP'"))
  return errors
}

export function validateServiceUpdate({ spec }: ApiObject, { spec: old }: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  if (spec.type === balanced && old.type === balanced && spec.loadBalancerClass !== old.loadBalancerClass)
    errors.push(invalidValue('spec.loadBalancerClass', spec.loadBalancerClass ?? null, 'may not change once set'))
  if (needsHealthCheck(spec) && needsHealthCheck(old) && spec.healthCheckNodePort !== old.healthCheckNodePort)
    errors.push(forbidden('spec.healthCheckNodePort', 'field is immutable'))
  const before = old.clusterIPs?.[0]
  if (!before || spec.type === 'ExternalName' || old.type === 'ExternalName' || spec.clusterIPs?.[0] === before)
    return errors
  return [...errors, invalidValue('spec.clusterIPs[0]', spec.clusterIPs ?? null, 'may not change once set')]
}

/** What has no effect is said (pkg/api/service/warnings.go). */
export function serviceWarnings({ metadata, spec = {} }: ApiObject): string[] {
  const warnings: string[] = []
  const say = (when: unknown, text: string) => when && warnings.push(text)
  const headless = spec.clusterIP === 'None'
  say(
    metadata.annotations?.[topologyHints] !== undefined,
    `annotation ${topologyHints} is deprecated, please use ${topologyMode} instead`,
  )
  say(headless && spec.loadBalancerIP, 'spec.loadBalancerIP is ignored for headless services')
  say(headless && spec.externalIPs?.length, 'spec.externalIPs is ignored for headless services')
  say(headless && spec.sessionAffinity === 'ClientIP', 'spec.SessionAffinity is ignored for headless services')
  say(
    spec.externalIPs?.length && !headless && spec.type !== 'ExternalName',
    'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
  )
  say(
    spec.type === 'ExternalName' && spec.externalIPs?.length,
    'spec.externalIPs is ignored when spec.type is "ExternalName"',
  )
  say(
    spec.type !== 'ExternalName' && spec.externalName,
    'spec.externalName is ignored when spec.type is not "ExternalName"',
  )
  say(
    spec.trafficDistribution === 'PreferClose',
    'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
  )
  say(
    spec.type === balanced && spec.loadBalancerIP,
    'spec.loadBalancerIP has no effect: load balancers are reached at the address of this machine',
  )
  return warnings
}
