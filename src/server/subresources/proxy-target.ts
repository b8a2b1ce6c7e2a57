// Where …/proxy leads: from '[scheme:]name[:port]' of the URL to an address (registry/core/pod/strategy.go and
// registry/core/service/storage/storage.go, 1.36).

import { ApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'

export interface ProxyTarget {
  protocol: 'http:' | 'https:'
  host: string
  port: number
}

interface Asked {
  scheme: string
  name: string
  port: string
}

/** Finds an object of the core group. @throws ApiError NotFound */
export type Find = (resource: string, namespace: string, name: string) => StoredObject

const badRequest = (message: string) => new ApiError('BadRequest', message)
const unavailable = (message: string) => new ApiError('ServiceUnavailable', message)

/** 'https:web:8443' taken apart; undefined when it is none of the allowed forms. */
export function splitSchemeNamePort(id: string): Asked | undefined {
  const parts = id.split(':')
  const [scheme, name, port] =
    parts.length === 1 ? ['', parts[0]] : parts.length === 2 ? ['', parts[0], parts[1]] : parts
  if (parts.length > 3 || !name || !['', 'http', 'https'].includes(scheme ?? '')) return undefined
  return { scheme: scheme ?? '', name, port: port ?? '' }
}

const protocolOf = (scheme: string): ProxyTarget['protocol'] => (scheme === 'https' ? 'https:' : 'http:')

/** What a Pod may have as its address: no loopback, link-local, multicast or unspecified one. */
export function isGlobalUnicast(address: string): boolean {
  const bytes = address.split('.').map(Number)
  if (bytes.length !== 4 || bytes.some((byte) => !Number.isInteger(byte) || byte < 0 || byte > 255)) return false
  const [first = 0, second = 0] = bytes
  if (first === 127 || (first === 169 && second === 254) || (first >= 224 && first < 240)) return false
  return bytes.some((byte) => byte !== 0) && bytes.some((byte) => byte !== 255)
}

function numberOf(port: string, id: string): number {
  const number = Number(port)
  if (!/^\d+$/.test(port) || number < 1 || number > 65535)
    throw badRequest(`invalid port ${JSON.stringify(port)} in proxy request ${JSON.stringify(id)}`)
  return number
}

export function podTarget(id: string, namespace: string, find: Find): ProxyTarget {
  const asked = splitSchemeNamePort(id)
  if (!asked) throw badRequest(`invalid pod request ${JSON.stringify(id)}`)
  const pod = find('pods', namespace, asked.name)
  const address: string = pod.status?.podIP ?? ''
  if (!isGlobalUnicast(address)) throw badRequest('address not allowed')
  const containers = (pod.spec?.containers ?? []) as { ports?: { containerPort?: number }[] }[]
  const declared = containers.flatMap(({ ports = [] }) => ports)[0]?.containerPort
  const protocol = protocolOf(asked.scheme)
  const port = asked.port ? numberOf(asked.port, id) : (declared ?? (protocol === 'https:' ? 443 : 80))
  return { protocol, host: address, port }
}

interface Subset {
  addresses?: { ip: string; targetRef?: { kind?: string; name?: string; namespace?: string } }[]
  ports?: { name?: string; port: number }[]
}

export function serviceTarget(id: string, namespace: string, find: Find, random = Math.random): ProxyTarget {
  const asked = splitSchemeNamePort(id)
  if (!asked) throw badRequest(`invalid service request ${JSON.stringify(id)}`)
  const service = find('services', namespace, asked.name)
  let portName = asked.port
  if (/^\d+$/.test(portName)) {
    const ports = (service.spec?.ports ?? []) as { name?: string; port: number }[]
    const port = ports.find((one) => one.port === Number(portName))
    if (!port) throw unavailable(`no service port ${portName} found for service ${JSON.stringify(asked.name)}`)
    portName = port.name ?? ''
  }
  const none = unavailable(`no endpoints available for service ${JSON.stringify(asked.name)}`)
  let subsets: Subset[]
  try {
    subsets = (find('endpoints', namespace, asked.name).subsets ?? []) as Subset[]
  } catch {
    throw none
  }
  const choices = subsets.flatMap(({ addresses = [], ports = [] }) => {
    const port = ports.find(({ name = '' }) => name === portName)?.port
    return port ? addresses.map((address) => ({ address, port })) : []
  })
  const start = Math.floor(random() * choices.length)
  for (let step = 0; step < choices.length; step++) {
    const { address, port } = choices[(start + step) % choices.length]!
    if (isAddressOfPod(address, namespace, find)) return { protocol: protocolOf(asked.scheme), host: address.ip, port }
  }
  throw none
}

/** Endpoints are written by users too: only addresses that a workload of this namespace really has are dialled. */
function isAddressOfPod(
  { ip, targetRef }: NonNullable<Subset['addresses']>[number],
  namespace: string,
  find: Find,
): boolean {
  if (!targetRef?.name || (targetRef.namespace ?? namespace) !== namespace) return false
  try {
    if (targetRef.kind === 'VirtualMachineInstance') {
      const machine = find('virtualmachineinstances', namespace, targetRef.name)
      return ((machine.status?.interfaces ?? []) as { ipAddress?: string }[]).some(({ ipAddress }) => ipAddress === ip)
    }
    if (targetRef.kind !== 'Pod') return false
    const { podIP, podIPs = [] } = find('pods', namespace, targetRef.name).status ?? {}
    return podIP === ip || (podIPs as { ip: string }[]).some((one) => one.ip === ip)
  } catch {
    return false
  }
}

/** A node's own pages are served in this process; another port of the node is dialled. */
export function nodeTarget(id: string, find: Find): ProxyTarget | 'kubelet' {
  const asked = splitSchemeNamePort(id)
  if (!asked) throw badRequest(`invalid node request ${JSON.stringify(id)}`)
  const node = find('nodes', '', asked.name)
  const kubelet = node.status?.daemonEndpoints?.kubeletEndpoint?.Port || 10250
  if (asked.port === '' || Number(asked.port) === kubelet || Number(asked.port) === 10250) return 'kubelet'
  const address = (node.status?.addresses ?? []).find((one: { type: string }) => one.type === 'InternalIP')?.address
  if (!isGlobalUnicast(address ?? '')) throw badRequest('address not allowed')
  return { protocol: protocolOf(asked.scheme), host: address, port: numberOf(asked.port, id) }
}
