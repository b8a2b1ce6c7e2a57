// ServiceCIDRs: the range of this Tandem is the ServiceCIDR `kubernetes`; one that addresses are still from stays until they
// are gone or another one holds them. Mirrors pkg/controller/servicecidrs (1.36).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { addressNumber, isStrictlyInside, parseRange, type Range } from '../kinds/rules/addresses.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { ipAddresses, serviceCidrs } from './resources.ts'

const defaultCidr = 'kubernetes'
const finalizer = 'networking.k8s.io/service-cidr-finalizer'
/** Until everybody who gives out addresses has seen that this range gives none. */
const graceMs = 10_000

const managedBy = 'ipaddress.kubernetes.io/managed-by'
const allocator = 'ipallocator.k8s.io'

interface Condition {
  type: 'Ready'
  status: 'True' | 'False'
  reason: string
  message: string
}

const ready: Condition = { type: 'Ready', status: 'True', reason: '', message: 'Kubernetes Service CIDR is ready' }

const held: Condition = {
  type: 'Ready',
  status: 'False',
  reason: 'Terminating',
  message: 'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
}

const rangesOf = ({ spec }: StoredObject): Range[] =>
  ((spec?.cidrs ?? []) as string[]).flatMap((text) => parseRange(text) ?? [])

const holds = (outer: Range, inner: Range): boolean =>
  isStrictlyInside(inner, outer) ||
  (inner.family === outer.family && inner.length === outer.length && inner.base === outer.base)

/** A range of a single address. */
function rangeOf(address: string): Range | undefined {
  const number = addressNumber(address)
  return number && { family: number.family, base: number.value, length: number.family === 4 ? 32 : 128 }
}

/** Whether nobody would be left with an address of no range. Pure. */
export function mayGo(cidr: StoredObject, all: readonly StoredObject[], addresses: readonly StoredObject[]): boolean {
  const others = all
    .filter(({ metadata }) => metadata.name !== cidr.metadata.name && !metadata.deletionTimestamp)
    .flatMap(rangesOf)
  const own = rangesOf(cidr)
  if (own.every((range) => others.some((other) => holds(other, range)))) return true
  return !addresses.some(({ metadata }) => {
    const address = metadata.labels?.[managedBy] === allocator ? rangeOf(metadata.name) : undefined
    return address && own.some((range) => holds(range, address)) && !others.some((range) => holds(range, address))
  })
}

export const serviceRanges: ControllerDefinition = {
  name: 'service-cidrs',
  start(context) {
    const { client, informers, clock, settings } = context
    const known = informers.informer(serviceCidrs)
    const addresses = informers.informer(ipAddresses)

    async function tell(cidr: StoredObject, condition: Condition): Promise<void> {
      const before: Condition[] = cidr.status?.conditions ?? []
      const same = before.find(({ type }) => type === condition.type)
      if (same?.status === condition.status && (same.reason ?? '') === condition.reason) return
      const stated = { ...condition, lastTransitionTime: formatTime(clock.now()) }
      const status = { ...cidr.status, conditions: [...before.filter(({ type }) => type !== condition.type), stated] }
      await client.update(serviceCidrs, { ...cidr, status }, { subresource: 'status' })
    }

    const withFinalizers = async (cidr: StoredObject, finalizers: string[]) =>
      (await client.update(serviceCidrs, { ...cidr, metadata: { ...cidr.metadata, finalizers } })) as StoredObject

    async function end(cidr: StoredObject): Promise<ReconcileResult | undefined> {
      const { deletionTimestamp, finalizers = [] } = cidr.metadata
      if (!finalizers.includes(finalizer)) return undefined
      if (!mayGo(cidr, known.list(), addresses.list())) {
        await tell(cidr, held)
        return undefined
      }
      const left = Date.parse(deletionTimestamp!) + graceMs - clock.now()
      if (left > 0) return { requeueAfter: left }
      await withFinalizers(
        cidr,
        finalizers.filter((one) => one !== finalizer),
      )
      return undefined
    }

    async function sync(name: string): Promise<ReconcileResult | undefined> {
      let cidr = known.get(name)
      if (!cidr && name !== defaultCidr) return undefined
      if (!cidr) {
        const object: ApiObject = {
          apiVersion: 'networking.k8s.io/v1',
          kind: 'ServiceCIDR',
          metadata: { name, finalizers: [finalizer] },
          spec: { cidrs: [settings.services.cidr] },
        }
        cidr = (await client.create(serviceCidrs, object)) as StoredObject
      }
      if (cidr.metadata.deletionTimestamp) return end(cidr)
      const finalizers = cidr.metadata.finalizers ?? []
      if (!finalizers.includes(finalizer)) cidr = await withFinalizers(cidr, [...finalizers, finalizer])
      await tell(cidr, ready)
      return undefined
    }

    /** What waits for its addresses to go, or for a range that takes them in. */
    const waiting = (): string[] =>
      known
        .list()
        .filter(({ metadata }) => metadata.deletionTimestamp)
        .map(({ metadata }) => metadata.name)
    const watched = [
      { ref: serviceCidrs, keys: (cidr: StoredObject) => [...itself(cidr), ...waiting()] },
      { ref: ipAddresses, keys: waiting },
    ]
    const running = reconcileOn(context, 'service-cidrs', watched, sync, 1)
    running.reconciler.enqueue(defaultCidr)
    return running
  },
}
