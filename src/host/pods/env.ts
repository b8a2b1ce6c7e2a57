// The environment of a container, worked out from its Pod and from the ConfigMaps, Secrets and Services it names.
// Mirrored from the kubelet (pkg/kubelet/kubelet_pods.go and envvars, 1.32).

import type { EnvVar, Service } from 'kubernetes-types/core/v1.js'
import { fieldValue, type NodeFacts, resourceValue } from './field-values.ts'
import { type AnyContainer, ContainerProblem, type PodObject } from './pod.ts'

export interface EnvSources {
  /** By name, in the Pod's namespace; undefined = does not exist. */
  configMaps: Map<string, { data?: Record<string, string> } | undefined>
  /** Values in base64. */
  secrets: Map<string, { data?: Record<string, string> } | undefined>
  /** All services of the Pod's namespace, and default/kubernetes. */
  services: Service[]
  node: NodeFacts
  podIPs: string[]
}

export interface References {
  configMaps: string[]
  secrets: string[]
}

/** What has to be fetched before `containerEnv` can answer. */
export function envReferences(container: AnyContainer): References {
  const configMaps = new Set<string>()
  const secrets = new Set<string>()
  for (const from of container.envFrom ?? []) {
    if (from.configMapRef?.name) configMaps.add(from.configMapRef.name)
    if (from.secretRef?.name) secrets.add(from.secretRef.name)
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef?.name) configMaps.add(valueFrom.configMapKeyRef.name)
    if (valueFrom?.secretKeyRef?.name) secrets.add(valueFrom.secretKeyRef.name)
  }
  return { configMaps: [...configMaps], secrets: [...secrets] }
}

/** $(NAME) becomes the value, $$ a dollar; what is not known stays as it is written. */
export function expand(text: string, value: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (match, name: string | undefined) =>
    name === undefined ? '$' : (value(name) ?? match),
  )
}

/** @throws ContainerProblem when something required is missing */
export function containerEnv(pod: PodObject, container: AnyContainer, sources: EnvSources): Map<string, string> {
  const env = new Map<string, string>()
  for (const from of container.envFrom ?? []) {
    const { configMapRef, secretRef, prefix = '' } = from
    const data = configMapRef
      ? configMapData(sources, configMapRef.name ?? '', configMapRef.optional)
      : secretData(sources, secretRef?.name ?? '', secretRef?.optional)
    for (const [key, value] of Object.entries(data ?? {})) if (!key.includes('=')) env.set(prefix + key, value)
  }
  const services = serviceEnv(pod, sources.services)
  const lookup = (name: string) => env.get(name) ?? services.get(name)
  for (const entry of container.env ?? []) {
    const value = entry.valueFrom ? valueFrom(pod, container, entry, sources) : expand(entry.value ?? '', lookup)
    if (value !== undefined) env.set(entry.name, value)
  }
  for (const [name, value] of services) if (!env.has(name)) env.set(name, value)
  return env
}

function valueFrom(pod: PodObject, container: AnyContainer, entry: EnvVar, sources: EnvSources): string | undefined {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = entry.valueFrom!
  if (fieldRef) return fieldValue(pod, fieldRef.fieldPath, sources)
  if (resourceFieldRef) return resourceValue(pod, container, resourceFieldRef, sources.node)
  const [ref, data, kind] = configMapKeyRef
    ? [configMapKeyRef, configMapData(sources, configMapKeyRef.name ?? '', configMapKeyRef.optional), 'ConfigMap']
    : [secretKeyRef!, secretData(sources, secretKeyRef?.name ?? '', secretKeyRef?.optional), 'Secret']
  const value = data && Object.hasOwn(data, ref.key) ? data[ref.key] : undefined
  if (value === undefined && !ref.optional)
    throw configProblem(`couldn't find key ${ref.key} in ${kind} ${pod.metadata.namespace}/${ref.name}`)
  return value
}

const configProblem = (message: string) => new ContainerProblem('CreateContainerConfigError', message)

function configMapData(sources: EnvSources, name: string, optional?: boolean): Record<string, string> | undefined {
  const found = sources.configMaps.get(name)
  if (!found && !optional) throw configProblem(`configmap "${name}" not found`)
  return found?.data ?? (found ? {} : undefined)
}

function secretData(sources: EnvSources, name: string, optional?: boolean): Record<string, string> | undefined {
  const found = sources.secrets.get(name)
  if (!found && !optional) throw configProblem(`secret "${name}" not found`)
  if (!found) return undefined
  const entries = Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()])
  return Object.fromEntries(entries)
}

/** WEB_SERVICE_HOST, WEB_PORT_80_TCP_ADDR and so on, for each service with an address. */
export function serviceEnv(pod: PodObject, services: Service[]): Map<string, string> {
  const env = new Map<string, string>()
  const own = pod.metadata.namespace
  const visible = services.filter(({ metadata }) => {
    const api = metadata?.namespace === 'default' && metadata.name === 'kubernetes'
    return api || (pod.spec.enableServiceLinks !== false && metadata?.namespace === own)
  })
  // The Pod's own namespace wins over default/kubernetes.
  visible.sort((a, b) => Number(a.metadata?.namespace === own) - Number(b.metadata?.namespace === own))
  for (const service of visible) addService(env, service)
  return env
}

const variableName = (text: string): string => text.toUpperCase().replaceAll('-', '_')

function addService(env: Map<string, string>, { metadata, spec }: Service): void {
  const address = spec?.clusterIP
  const first = spec?.ports?.[0]
  if (!address || address === 'None' || !first) return
  const prefix = variableName(metadata?.name ?? '')
  const host = address.includes(':') ? `[${address}]` : address
  env.set(`${prefix}_SERVICE_HOST`, address)
  env.set(`${prefix}_SERVICE_PORT`, `${first.port}`)
  const url = (port: { protocol?: string; port: number }) =>
    `${(port.protocol ?? 'TCP').toLowerCase()}://${host}:${port.port}`
  env.set(`${prefix}_PORT`, url(first))
  for (const port of spec.ports ?? []) {
    if (port.name) env.set(`${prefix}_SERVICE_PORT_${variableName(port.name)}`, `${port.port}`)
    const name = `${prefix}_PORT_${port.port}_${port.protocol ?? 'TCP'}`
    env.set(name, url(port))
    env.set(`${name}_PROTO`, (port.protocol ?? 'TCP').toLowerCase())
    env.set(`${name}_PORT`, `${port.port}`)
    env.set(`${name}_ADDR`, address)
  }
}
