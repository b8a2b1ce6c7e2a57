// Service: one name and address for the Pods and VMs that a selector chooses.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { formatLabels, none, text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import {
  needsHealthCheck,
  serviceWarnings,
  validateService,
  validateServiceStatus,
  validateServiceUpdate,
} from './service-rules.ts'

const external = ['NodePort', 'LoadBalancer']

function defaults({ spec, status }: ApiObject): void {
  if (!spec) return
  if (spec.sessionAffinity === 'ClientIP') {
    spec.sessionAffinityConfig ??= {}
    spec.sessionAffinityConfig.clientIP ??= {}
    spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= 10800
  } else if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig
  for (const port of Array.isArray(spec.ports) ? spec.ports : []) {
    if (port && (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === ''))
      port.targetPort = port.port
  }
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster'
  if (external.includes(spec.type) || (spec.type === 'ClusterIP' && spec.externalIPs?.length))
    spec.externalTrafficPolicy ??= 'Cluster'
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true
  for (const entry of Array.isArray(status?.loadBalancer?.ingress) ? status.loadBalancer.ingress : [])
    if (entry?.ip) entry.ipMode ??= 'VIP'
  // clusterIP and the first of clusterIPs are one field with two names.
  if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP]
  else if (!spec.clusterIP && spec.clusterIPs?.length) spec.clusterIP = spec.clusterIPs[0]
}

/** What the server gave stays when an update leaves it out (upstream: patchAllocatedValues). */
function keepAllocated(service: ApiObject, { spec: old }: ApiObject, subresource = ''): void {
  const { spec } = service
  if (!spec || !old || subresource) return
  if (spec.type === 'ExternalName') {
    if (spec.clusterIP === old.clusterIP) {
      for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'internalTrafficPolicy'])
        delete spec[field]
    }
  } else if (old.type !== 'ExternalName' && !spec.clusterIP && !spec.clusterIPs?.length) {
    if (old.clusterIP) spec.clusterIP = old.clusterIP
    if (old.clusterIPs) spec.clusterIPs = old.clusterIPs
  }
  if (external.includes(spec.type) && external.includes(old.type)) keepNodePorts(spec.ports ?? [], old.ports ?? [])
  else if (!external.includes(spec.type) && external.includes(old.type)) dropNodePorts(spec, old)
  if (needsHealthCheck(spec) && needsHealthCheck(old)) spec.healthCheckNodePort ||= old.healthCheckNodePort
  else if (spec.healthCheckNodePort === old.healthCheckNodePort) delete spec.healthCheckNodePort
  if (spec.type !== 'LoadBalancer' && old.type === 'LoadBalancer') leaveBalancer(service, old)
}

/** The address of the balancer is no longer shown; what only a balancer may have goes, unless it was changed as well. */
function leaveBalancer(service: ApiObject, old: any): void {
  const { spec } = service
  for (const field of ['loadBalancerClass', 'allocateLoadBalancerNodePorts'])
    if (spec[field] === old[field]) delete spec[field]
  if (service.status) service.status = { ...service.status, loadBalancer: {} }
}

const samePort = (a: any, b: any) => a.port === b.port && a.protocol === b.protocol

function keepNodePorts(ports: any[], before: any[]): void {
  for (const port of ports) {
    if (port.nodePort) continue
    const old = before.find((other) => samePort(other, port))
    const taken = ports.some((other) => other.nodePort === old?.nodePort && other.protocol === port.protocol)
    if (old?.nodePort && !taken) port.nodePort = old.nodePort
  }
}

/** A Service that is no longer reachable from outside gives its node ports back. */
function dropNodePorts(spec: any, old: any): void {
  for (const port of spec.ports ?? []) {
    if (old.ports?.some((other: any) => other.nodePort === port.nodePort)) delete port.nodePort
  }
  const isReachable = spec.type === 'ClusterIP' && spec.externalIPs?.length
  if (!isReachable && spec.externalTrafficPolicy === old.externalTrafficPolicy) delete spec.externalTrafficPolicy
}

function externalIp({ spec = {}, status }: ApiObject): string {
  const ips: string[] = spec.externalIPs ?? []
  if (spec.type === 'ExternalName') return spec.externalName
  if (spec.type !== 'LoadBalancer') return ips.join(',') || none
  const ingress = (status?.loadBalancer?.ingress ?? []).map((entry: any) => entry.ip || entry.hostname)
  return [...ingress, ...ips].join(',') || '<pending>'
}

const portsText = ({ spec }: ApiObject): string =>
  (spec?.ports ?? [])
    .map((port: any) => `${port.port}${port.nodePort ? `:${port.nodePort}` : ''}/${port.protocol}`)
    .join(',') || none

export const service = defineKind({
  group: '',
  version: 'v1',
  kind: 'Service',
  plural: 'services',
  singular: 'service',
  shortNames: ['svc'],
  categories: ['all'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.Service'),
  types,
  subresources: { status: true },
  nameRule: 'dns-1035-label',
  hasGeneration: false,
  columns: [
    text('Type', (object) => object.spec?.type ?? ''),
    text('Cluster-IP', (object) => object.spec?.clusterIPs?.[0] ?? none),
    text('External-IP', externalIp),
    text('Port(s)', portsText),
    ageColumn,
    text('Selector', (object) => formatLabels(object.spec?.selector), 1),
  ],
  defaults,
  prepareCreate(object) {
    object.status = { loadBalancer: {} }
  },
  prepareUpdate: keepAllocated,
  validate: (object, old, subresource) =>
    subresource === 'status'
      ? validateServiceStatus(object)
      : [...validateService(object), ...(old ? validateServiceUpdate(object, old) : [])],
  warnings: serviceWarnings,
  fields: {
    'spec.clusterIP': (object) => object.spec?.clusterIP ?? '',
    'spec.type': (object) => object.spec?.type ?? '',
  },
  example: {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  },
})
