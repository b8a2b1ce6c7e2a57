// Keeps the packet rules of this machine equal to the Services, EndpointSlices, NetworkPolicies and hostPorts of the API:
// changes are collected for a few milliseconds and applied as one transaction.

import type { StoredObject } from '../../api/meta.ts'
import { objectKey } from '../../api/meta.ts'
import type { Informer, InformerFactory } from '../../client/informer.ts'
import { run } from '../exec.ts'
import { createHealthChecks, healthCheckOf } from './health-checks.ts'
import { withoutListeners } from './listeners.ts'
import { followPolicies } from './policies.ts'
import {
  buildRuleset,
  type Ruleset,
  renderChange,
  renderTable,
  type ServicePort,
  type TableSettings,
} from './ruleset.ts'
import { hostPortsOfPod, portsOfService, serviceLabel } from './service-ports.ts'
import { forgetFlows, goneEndpoints, newlyServed } from './udp-flows.ts'

export const serviceRef = { group: '', version: 'v1', resource: 'services' }
export const sliceRef = { group: 'discovery.k8s.io', version: 'v1', resource: 'endpointslices' }
const podRef = { group: '', version: 'v1', resource: 'pods' }

const settleMs = 5
/** How often the table is looked for: a firewall that is reloaded may have flushed everything. */
const checkMs = 30_000
const retryMs = 1000

export interface ServiceRules {
  /** Makes the table without any Service when it is not there; what a former run left goes on working. */
  prepare(): Promise<void>
  /** Follows the informers from now on. */
  follow(): void
  /** Resolves when everything seen so far is in the kernel. */
  settled(): Promise<void>
  /** Resolves when the policies for this workload at this address are in the kernel. @throws when they cannot be. */
  protect(workload: StoredObject, address: string): Promise<void>
  stop(): Promise<void>
}

export interface ServiceRulesOptions {
  table: TableSettings
  /** Addresses at which Tandem itself listens. */
  own: string[]
  nodeName: string
  informers: InformerFactory
  /** Told about what went wrong; the next change or the next check tries again. */
  warn: (message: string) => void
}

/** Index of an EndpointSlice informer: slices by 'namespace/service'. */
export const bySlicedService = 'network.service'

export const indexSlices = (informer: Informer): void =>
  informer.addIndex(bySlicedService, (slice) => {
    const service = slice.metadata.labels?.[serviceLabel]
    return service ? [`${slice.metadata.namespace}/${service}`] : []
  })

/** Two rule sets with nothing in common, as one. */
const joined = (a: Ruleset, b: Ruleset): Ruleset => ({
  sets: new Map([...a.sets, ...b.sets]),
  chains: new Map([...a.chains, ...b.chains]),
  elements: new Map([...a.elements, ...b.elements]),
})

export function serviceRules({ table, own, nodeName, informers, warn }: ServiceRulesOptions): ServiceRules {
  const services = informers.informer(serviceRef)
  const slices = informers.informer(sliceRef)
  const pods = informers.informer(podRef)
  const place = { own: new Set(own), nodeName }
  const policies = followPolicies({ informers, dnsAddress: table.dnsAddress, changed: () => schedule() })
  let failure: Error | undefined
  let applied: { services: ServicePort[]; ruleset: Ruleset } | undefined
  let following = false
  let stopped = false
  let dirty = false
  let timer: NodeJS.Timeout | undefined
  let working: Promise<void> = Promise.resolve()

  const nft = (input: string) => run(['nft', '-f', '-'], { input })
  const tableExists = async () =>
    (await run(['nft', 'list', 'chain', 'ip', table.table, 'prerouting'], { allowFailure: true })).code === 0

  const healthChecks = createHealthChecks(warn)
  const slicesOf = (service: StoredObject) => slices.byIndex(bySlicedService, objectKey(service))
  /** What was warned of, so that it is said once. */
  let taken = new Set<string>()

  function desired(): ServicePort[] {
    const known = services.list()
    const ports = known.flatMap((service) => portsOfService(service, slicesOf(service), place))
    const { kept, refused } = withoutListeners(ports)
    for (const text of refused) if (!taken.has(text)) warn(text)
    taken = new Set(refused)
    healthChecks.update(
      new Map(
        known
          .map((service) => healthCheckOf(service, slicesOf(service), nodeName))
          .filter((check) => check !== undefined),
      ),
    )
    return [...kept, ...pods.list().flatMap(hostPortsOfPod)]
  }

  async function apply(): Promise<void> {
    const next = desired()
    const ruleset = joined(buildRuleset(next), policies.rules())
    const change = applied && renderChange(table, applied.ruleset, ruleset)
    if (change === undefined) await nft(renderTable(table, ruleset))
    // Somebody else may have touched the table; writing it whole is always right.
    else if (change) await nft(change).catch(() => nft(renderTable(table, ruleset)))
    const before = applied?.services
    applied = { services: next, ruleset }
    if (before) await forgetFlows(goneEndpoints(before, next), newlyServed(before, next))
  }

  async function work(): Promise<void> {
    if (!dirty || stopped) return
    dirty = false
    try {
      await apply()
      failure = undefined
    } catch (error) {
      applied = undefined
      failure = error as Error
      warn(`cannot write the rules of Services and policies: ${(error as Error).message}`)
      schedule(retryMs)
    }
  }

  function schedule(afterMs = settleMs): void {
    dirty = true
    if (!following || stopped) return
    timer ??= setTimeout(() => {
      timer = undefined
      working = working.then(work)
    }, afterMs)
  }

  const checker = setInterval(async () => {
    if (!following || stopped || (await tableExists().catch(() => true))) return
    warn(`the nftables table ${table.table} is gone (was a firewall reloaded?): writing it again`)
    applied = undefined
    schedule()
  }, checkMs)
  checker.unref()

  const synced = () => Promise.all([services.synced(), slices.synced(), pods.synced(), policies.synced()])

  indexSlices(slices)
  const handler = { changed: (_object: StoredObject) => schedule(), removed: () => schedule() }
  // Pods change often and few have a hostPort.
  const usesHost = (pod: StoredObject | undefined) => pod && hostPortsOfPod(pod).length > 0 && schedule()
  const podHandler = {
    changed(pod: StoredObject, old: StoredObject | undefined) {
      usesHost(pod)
      usesHost(old)
    },
    removed: usesHost,
  }

  return {
    async prepare() {
      if (!(await tableExists())) await nft(renderTable(table, buildRuleset([])))
    },
    follow() {
      for (const informer of [services, slices]) informer.addHandler(handler)
      pods.addHandler(podHandler)
      void synced().then(() => {
        following = true
        schedule()
      })
    },
    async settled() {
      await synced()
      while (dirty && !stopped) await new Promise((resolve) => setTimeout(resolve, settleMs))
      await working
    },
    async protect(workload, address) {
      policies.expect(workload, address)
      await synced()
      if (!policies.inUse()) return
      dirty = true
      working = working.then(work)
      await working
      if (failure) throw new Error(`the network policies are not in place: ${failure.message}`)
    },
    async stop() {
      stopped = true
      clearInterval(checker)
      clearTimeout(timer)
      await working
      await healthChecks.stop()
    },
  }
}
