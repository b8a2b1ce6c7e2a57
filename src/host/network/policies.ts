// What NetworkPolicies need to know, followed from the API: policies, namespaces, and the workloads with their labels and
// addresses. A workload that has just been given its address is told to us before the API knows.

import type { StoredObject } from '../../api/meta.ts'
import type { InformerFactory } from '../../client/informer.ts'
import { workloadLabels } from '../../kinds/kubevirt/launcher-pod.ts'
import { parseAddress } from './addresses.ts'
import { type NamedPort, type PolicyWorkload, planPolicies } from './policy-plan.ts'
import type { Ruleset } from './ruleset.ts'

const podRef = { group: '', version: 'v1', resource: 'pods' }
const namespaceRef = { group: '', version: 'v1', resource: 'namespaces' }
export const machineRef = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' }
const policyRef = { group: 'networking.k8s.io', version: 'v1', resource: 'networkpolicies' }

export interface Policies {
  /** Chains, sets and maps as they should be now; the same object while nothing has changed. */
  rules(): Ruleset
  /** This workload has this address from now on, whatever the API says so far. */
  expect(workload: StoredObject, address: string): void
  /** Whether there is any policy: without one, nothing waits for rules. */
  inUse(): boolean
  synced(): Promise<unknown>
}

export interface PoliciesOptions {
  informers: InformerFactory
  dnsAddress: string
  changed: () => void
}

interface Port {
  name?: string
  protocol?: string
  containerPort?: number
  port?: number
}

const named = (ports: Port[]): NamedPort[] =>
  ports.flatMap(({ name, protocol = 'TCP', containerPort, port = containerPort }) =>
    name && port ? [{ name, protocol, port }] : [],
  )

function portsOf({ kind, spec = {} }: StoredObject): NamedPort[] {
  const lists: { ports?: Port[] }[] =
    kind === 'Pod'
      ? [...(spec.containers ?? []), ...(spec.initContainers ?? [])]
      : (spec.domain?.devices?.interfaces ?? [])
  return named(lists.flatMap(({ ports = [] }) => ports))
}

/** Undefined for what has no address of its own. */
export function addressOf(workload: StoredObject): string | undefined {
  const { phase, podIP, interfaces } = workload.status ?? {}
  if (phase === 'Succeeded' || phase === 'Failed' || workload.spec?.hostNetwork) return undefined
  const address = workload.kind === 'Pod' ? podIP : interfaces?.[0]?.ipAddress
  return typeof address === 'string' && parseAddress(address) !== undefined ? address : undefined
}

const asWorkload = (object: StoredObject, address: string): PolicyWorkload => ({
  namespace: object.metadata.namespace ?? '',
  labels: workloadLabels(object),
  address,
  ports: portsOf(object),
})

/** Cluster DNS is served by the node itself; to policies it is the Pods that it would be elsewhere. */
const dnsWorkload = (address: string): PolicyWorkload => ({
  namespace: 'kube-system',
  labels: { 'k8s-app': 'kube-dns' },
  address,
  ports: [
    { name: 'dns', protocol: 'UDP', port: 53 },
    { name: 'dns-tcp', protocol: 'TCP', port: 53 },
  ],
})

const sameLabels = (a: StoredObject, b: StoredObject) =>
  a.metadata.labels === b.metadata.labels || JSON.stringify(a.metadata.labels) === JSON.stringify(b.metadata.labels)

export function followPolicies({ informers, dnsAddress, changed }: PoliciesOptions): Policies {
  const policies = informers.informer(policyRef)
  const namespaces = informers.informer(namespaceRef)
  const workloads = [informers.informer(podRef), informers.informer(machineRef)]
  /** By uid, until the API shows the address. */
  const expected = new Map<string, { workload: StoredObject; address: string }>()
  let planned: Ruleset | undefined

  const inUse = () => policies.list().length > 0
  const touch = () => {
    planned = undefined
    changed()
  }
  const touchIfUsed = () => inUse() && touch()

  policies.addHandler({ changed: touch, removed: touch })
  namespaces.addHandler({
    changed: (namespace, old) => void (old && sameLabels(namespace, old) ? undefined : touchIfUsed()),
    removed: () => void touchIfUsed(),
  })
  for (const informer of workloads)
    informer.addHandler({
      changed(workload, old) {
        const address = addressOf(workload)
        const isFinished = ['Succeeded', 'Failed'].includes(workload.status?.phase)
        // An older address of the same workload says nothing: its sandbox may just have been made anew.
        const isShown = address !== undefined && address === expected.get(workload.metadata.uid)?.address
        if (isShown || isFinished) expected.delete(workload.metadata.uid)
        if (!old || address !== addressOf(old) || !sameLabels(workload, old)) touchIfUsed()
      },
      removed(last) {
        expected.delete(last.metadata.uid)
        if (addressOf(last)) touchIfUsed()
      },
    })

  /** The address of a workload that has gone may already be another's: what was told to us last counts. */
  function current(): PolicyWorkload[] {
    const found = new Map<string, PolicyWorkload>()
    for (const informer of workloads)
      for (const object of informer.list()) {
        const address = addressOf(object)
        const before = address && found.get(address)
        if (address && (!before || !object.metadata.deletionTimestamp)) found.set(address, asWorkload(object, address))
      }
    for (const { workload, address } of expected.values()) found.set(address, asWorkload(workload, address))
    found.set(dnsAddress, dnsWorkload(dnsAddress))
    return [...found.values()]
  }

  return {
    inUse,
    rules() {
      planned ??= planPolicies({
        policies: policies.list().toSorted((a, b) => (a.metadata.uid < b.metadata.uid ? -1 : 1)),
        workloads: inUse() ? current() : [],
        namespaces: new Map(namespaces.list().map(({ metadata }) => [metadata.name, metadata.labels ?? {}])),
      })
      return planned
    },
    expect(workload, address) {
      expected.set(workload.metadata.uid, { workload, address })
      planned = undefined
    },
    synced: () => Promise.all([policies, namespaces, ...workloads].map((informer) => informer.synced())),
  }
}
