// What an object costs a quota (pkg/quota/v1/evaluator/core, 1.36). Pure: admission and the controller count alike.

import type { ApiObject } from '../../api/meta.ts'
import { type Quantity, quantityOf, quantityValue } from '../../api/quantity.ts'
import { type Amounts, addAmounts, hasPodResources, podAmounts, quantityFrom } from './pod-resources.ts'
import { isNativeName } from './quota-names.ts'
import { inScopes } from './quota-scopes.ts'

/** A machine costs what the Pod would cost that holds it elsewhere: names of Pods speak of both. */
export const machines = 'virtualmachineinstances.kubevirt.io'
const families = [['pods', machines]]

/** Resources of which objects use up the same names. */
export const countedWith = (groupResource: string): readonly string[] =>
  families.find((family) => family.includes(groupResource)) ?? [groupResource]

/** Resources that no quota counts: virtual ones, and events, which never were. */
const ignored = new Set(['bindings', 'componentstatuses', 'events', 'events.events.k8s.io'])

const aliases = new Set(['configmaps', 'resourcequotas', 'replicationcontrollers', 'secrets'])
const compute = ['cpu', 'memory', 'ephemeral-storage']
const ofPods = new Set(['pods', ...compute, ...compute.flatMap((name) => [`requests.${name}`, `limits.${name}`])])
const ofServices = new Set(['services', 'services.nodeports', 'services.loadbalancers'])
const ofClaims = ['persistentvolumeclaims', 'requests.storage']
const classSuffix = '.storageclass.storage.k8s.io/'

export const isCounted = (groupResource: string): boolean => !ignored.has(groupResource)

/** True when objects of the resource are what a quota's `name` is about. */
export function countsFor(groupResource: string, name: string): boolean {
  if (!isCounted(groupResource)) return false
  if (name === `count/${groupResource}`) return true
  switch (groupResource) {
    case 'pods':
      return (
        ofPods.has(name) ||
        /^(requests\.)?hugepages-/.test(name) ||
        (name.startsWith('requests.') && !isNativeName(name))
      )
    case machines:
      return ofPods.has(name)
    case 'services':
      return ofServices.has(name)
    case 'persistentvolumeclaims':
      return ofClaims.some((one) => name === one || name.endsWith(classSuffix + one))
    default:
      return aliases.has(groupResource) && name === groupResource
  }
}

const one = quantityOf(1)

/** What the object costs now. */
export function usageOf(groupResource: string, object: ApiObject, now: number): Amounts {
  const usage: Amounts = new Map([[`count/${groupResource}`, one]])
  if (groupResource === 'pods') addPod(usage, object, now)
  else if (groupResource === machines) addPod(usage, machineAsPod(object), now)
  else if (groupResource === 'services') addService(usage, object)
  else if (groupResource === 'persistentvolumeclaims') addClaim(usage, object)
  else if (aliases.has(groupResource)) usage.set(groupResource, one)
  return usage
}

/** Finished Pods, and those that should have been gone by now, cost nothing but their place. */
function livesOn(pod: ApiObject, now: number): boolean {
  if (['Failed', 'Succeeded'].includes(pod.status?.phase)) return false
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata
  if (!deletionTimestamp || deletionGracePeriodSeconds === undefined) return true
  return now <= Date.parse(deletionTimestamp) + deletionGracePeriodSeconds * 1000
}

function addPod(usage: Amounts, pod: ApiObject, now: number): void {
  if (!livesOn(pod, now)) return
  addAmounts(usage, computeUsage(podAmounts(pod, 'requests'), podAmounts(pod, 'limits')))
}

function computeUsage(requests: Amounts, limits: Amounts): Amounts {
  const usage: Amounts = new Map([['pods', one]])
  for (const [name, amount] of requests) {
    if (compute.includes(name) || name.startsWith('hugepages-')) usage.set(name, amount).set(`requests.${name}`, amount)
    else if (!isNativeName(name)) usage.set(`requests.${name}`, amount)
  }
  for (const [name, amount] of limits) if (compute.includes(name)) usage.set(`limits.${name}`, amount)
  return usage
}

/** Guest memory and a tenth of each virtual CPU, unless the machine says otherwise; it never takes more than that. */
function machineAsPod(machine: ApiObject): ApiObject {
  const { cpu = {}, memory, resources = {} } = machine.spec?.domain ?? {}
  const cpus = (cpu.cores ?? 1) * (cpu.sockets ?? 1) * (cpu.threads ?? 1)
  const requests = { cpu: `${cpus * 100}m`, memory: memory?.guest ?? '0', ...resources.requests }
  const container = { name: 'compute', resources: { requests, limits: { ...requests, ...resources.limits } } }
  const { priorityClassName } = machine.spec ?? {}
  return { ...machine, spec: { containers: [container], ...(priorityClassName && { priorityClassName }) } }
}

function addService(usage: Amounts, { spec = {} }: ApiObject): void {
  const { type, ports = [], allocateLoadBalancerNodePorts } = spec
  let nodePorts = 0
  if (type === 'NodePort') nodePorts = ports.length
  if (type === 'LoadBalancer')
    nodePorts =
      allocateLoadBalancerNodePorts === false
        ? ports.filter((port: { nodePort?: number }) => port.nodePort).length
        : ports.length
  usage.set('services', one)
  usage.set('services.nodeports', quantityOf(nodePorts))
  usage.set('services.loadbalancers', quantityOf(type === 'LoadBalancer' ? 1 : 0))
}

function addClaim(usage: Amounts, claim: ApiObject): void {
  const { spec = {}, metadata } = claim
  const className = metadata.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? spec.storageClassName ?? ''
  usage.set('persistentvolumeclaims', one)
  if (className) usage.set(`${className}${classSuffix}persistentvolumeclaims`, one)
  const storage = storageOf(claim)
  if (!storage) return
  usage.set('requests.storage', storage)
  if (className) usage.set(`${className}${classSuffix}requests.storage`, storage)
}

/** Whole bytes: what is asked for, or what is already set aside when that is more. */
function storageOf({ spec, status }: ApiObject): Quantity | undefined {
  const asked = spec?.resources?.requests?.storage
  if (asked === undefined) return undefined
  const whole = (amount: unknown): Quantity => {
    const quantity = quantityFrom(amount)
    return quantityOf(quantityValue(quantity), quantity.format)
  }
  const allocated = whole(status?.allocatedResources?.storage)
  return allocated.nanos > whole(asked).nanos ? allocated : whole(asked)
}

export const isInScope = (quotaSpec: any, groupResource: string, object: ApiObject): boolean =>
  groupResource === machines
    ? inScopes(quotaSpec, 'pods', machineAsPod(object))
    : inScopes(quotaSpec, groupResource, object)

export const covers = (quotaSpec: any, groupResource: string, object: ApiObject): boolean =>
  isInScope(quotaSpec, groupResource, object) &&
  Object.keys(quotaSpec?.hard ?? {}).some((name) => countsFor(groupResource, name))

const mustBeSet = ['cpu', 'memory', 'requests.cpu', 'requests.memory', 'limits.cpu', 'limits.memory']

/** A quota on processors or memory wants every container to say what it needs: what is missing, as text. */
export function missingFor(names: readonly string[], pod: any): string | undefined {
  if (hasPodResources(pod.spec)) return undefined
  const required = mustBeSet.filter((name) => names.includes(name))
  const missing = new Map<string, string[]>()
  for (const container of [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]) {
    const { requests = {}, limits = {} } = container.resources ?? {}
    const has = (name: string) => {
      const [part = '', resource] = name.split('.')
      return resource ? (part === 'limits' ? limits : requests)[resource] !== undefined : requests[part] !== undefined
    }
    for (const name of required) if (!has(name)) missing.set(name, [...(missing.get(name) ?? []), container.name])
  }
  if (missing.size === 0) return undefined
  const parts = [...missing]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, who]) => `${name} for: ${who.sort().join(',')}`)
  return `must specify ${parts.join('; ')}`
}
