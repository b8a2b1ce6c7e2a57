// Rules for a Service (pkg/apis/core/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsLabelProblems, dnsSubdomainProblems, qualifiedNameProblems } from '../../api/names.ts'
import { validateLabels } from '../../api/validate-meta.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { checkPort, checkPortOrName } from '../rules/names.ts'

/** Upstream's default of --service-node-port-range. */
export const nodePortRange = { first: 30000, last: 32767 }

export function validateService({ spec }: ApiObject): FieldError[] {
  if (!spec) return []
  const headless = spec.clusterIP === 'None'
  const errors: FieldError[] = validateLabels(spec.selector, 'spec.selector')
  if (!spec.ports?.length && !headless && spec.type !== 'ExternalName') errors.push(requiredValue('spec.ports'))
  errors.push(...validateType(spec, headless), ...validatePorts(spec))
  if (spec.sessionAffinity === 'None' && spec.sessionAffinityConfig)
    errors.push(forbidden('spec.sessionAffinityConfig', 'must not be set when session affinity is None'))
  if (spec.ipFamilies?.includes('IPv6'))
    errors.push(invalidValue('spec.ipFamilies[0]', 'IPv6', 'not configured on this cluster'))
  if (spec.ipFamilyPolicy === 'RequireDualStack')
    errors.push(
      invalidValue('spec.ipFamilyPolicy', 'RequireDualStack', 'this cluster is not configured for dual-stack services'),
    )
  return errors
}

function validateType(spec: any, headless: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (spec.type === 'ExternalName') {
    if (spec.clusterIP) errors.push(forbidden('spec.clusterIPs[0]', 'may not be set for ExternalName services'))
    const name = (spec.externalName ?? '').replace(/\.$/, '')
    if (!name) errors.push(requiredValue('spec.externalName'))
    else
      errors.push(
        ...dnsSubdomainProblems(name).map((problem) => invalidValue('spec.externalName', spec.externalName, problem)),
      )
  } else if (headless && spec.type !== 'ClusterIP')
    errors.push(invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`))
  if (
    spec.externalTrafficPolicy &&
    spec.type !== 'NodePort' &&
    spec.type !== 'LoadBalancer' &&
    !spec.externalIPs?.length
  )
    errors.push(
      invalidValue(
        'spec.externalTrafficPolicy',
        spec.externalTrafficPolicy,
        'may only be set for externally-accessible services',
      ),
    )
  return errors
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
  if (port.protocol === 'SCTP') errors.push(notSupported(`${at}.protocol`, 'SCTP', ['TCP', 'UDP']))
  if (!port.nodePort) return errors
  const { first, last } = nodePortRange
  if (type !== 'NodePort' && type !== 'LoadBalancer')
    errors.push(forbidden(`${at}.nodePort`, `may not be used when \`type\` is '${type}'`))
  else if (port.nodePort < first || port.nodePort > last)
    errors.push(
      invalidValue(
        `${at}.nodePort`,
        port.nodePort,
        `provided port is not in the valid range. The range of valid ports is ${first}-${last}`,
      ),
    )
  return errors
}

export function validateServiceUpdate({ spec }: ApiObject, old: ApiObject): FieldError[] {
  const before = old.spec?.clusterIPs?.[0]
  if (!before || spec.type === 'ExternalName' || old.spec.type === 'ExternalName') return []
  if (spec.clusterIPs?.[0] === before) return []
  return [invalidValue('spec.clusterIPs[0]', spec.clusterIPs ?? null, 'may not change once set')]
}
