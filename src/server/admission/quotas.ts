// ResourceQuota at admission: a write that would cost more than the namespace may hold is refused
// (apiserver admission/plugin/resourcequota, 1.36). What is used is counted from the objects themselves plus the writes on
// their way to the store: two writes at once never get the same last place, and a deleted object frees its own at once.

import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { formatQuantity, type Quantity } from '../../api/quantity.ts'
import { type Amounts, addAmounts, largestAmounts, quantityFrom } from '../../kinds/core/pod-resources.ts'
import { isTerminating } from '../../kinds/core/quota-scopes.ts'
import {
  countedWith,
  countsFor,
  covers,
  isCounted,
  isInScope,
  missingFor,
  usageOf,
} from '../../kinds/core/quota-usage.ts'
import { forbiddenObject } from '../auth/authz.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'
import type { ByNamespace } from './by-namespace.ts'
import type { Lookup } from './lookup.ts'

/** Writes that were let through and are not in the store yet: by namespace and resource, then uid. */
type Pending = Map<string, Map<string, ApiObject>>

export function resourceQuotas(quotas: ByNamespace, lookup: Lookup, now: () => number): AdmissionPlugin {
  const pending: Pending = new Map()
  const placeOf = ({ namespace, resource }: AdmissionRequest) => place(namespace, resource.groupResource)
  const forget = (request: AdmissionRequest): void => {
    const writes = pending.get(placeOf(request))
    if (!writes) return
    writes.delete(uidOf(request.object!))
    if (writes.size === 0) pending.delete(placeOf(request))
  }
  return {
    name: 'ResourceQuota',
    validate(request) {
      if (!request.namespace || !handles(request)) return
      const all = quotas(request.namespace)
      if (all.length === 0) return
      const { groupResource } = request.resource
      const concerned = all.filter((quota) => covers(quota.spec, groupResource, request.object!))
      if (concerned.length === 0) return
      for (const quota of concerned) check(quota, request, pending, lookup, now())
      if (request.dryRun) return
      const writes = pending.get(placeOf(request)) ?? new Map<string, ApiObject>()
      pending.set(placeOf(request), writes.set(uidOf(request.object!), request.object!))
      request.undo.push(() => forget(request))
    },
    written(request) {
      if (pending.size > 0 && request.object) forget(request)
    },
  }
}

const place = (namespace: string, groupResource: string): string => `${namespace}/${groupResource}`

const uidOf = ({ metadata }: ApiObject): string => metadata.uid ?? ''

/** Writes that may cost more than before. */
function handles({ operation, resource, subresource, object, old }: AdmissionRequest): boolean {
  const { groupResource } = resource
  if (operation === 'CREATE') return subresource === '' && isCounted(groupResource)
  if (operation !== 'UPDATE') return false
  switch (groupResource) {
    case 'pods':
      return subresource === 'resize' || (subresource === '' && isTerminating(object) !== isTerminating(old))
    case 'services':
      return subresource === ''
    case 'persistentvolumeclaims':
      return subresource === '' || subresource === 'status'
    default:
      return false
  }
}

function check(quota: StoredObject, request: AdmissionRequest, pending: Pending, lookup: Lookup, now: number): void {
  const { resource, object, old, name } = request
  const { groupResource, group, plural } = resource
  const refuse = (text: string) => forbiddenObject(group, plural, name, text)
  const names = Object.keys(quota.spec.hard ?? {}).filter((one) => countsFor(groupResource, one))
  const missing = groupResource === 'pods' ? missingFor(names, object) : undefined
  if (missing) throw refuse(`failed quota: ${quota.metadata.name}: ${missing}`)
  const usage = usageOf(groupResource, object!, now)
  const before = old && covers(quota.spec, groupResource, old) ? usageOf(groupResource, old, now) : new Map()
  const asked = new Map<string, Quantity>()
  for (const one of names) {
    const cost = (usage.get(one)?.nanos ?? 0n) - (before.get(one)?.nanos ?? 0n)
    if (cost > 0n) asked.set(one, { nanos: cost, format: usage.get(one)!.format })
  }
  // Whoever only tells what has become of a claim is not refused for it.
  if (asked.size === 0 || request.subresource === 'status') return
  const used = usedBy(quota, request, pending, lookup, now)
  const hard = new Map(names.map((one) => [one, quantityFrom(quota.spec.hard[one])]))
  const exceeded = [...asked.keys()].filter(
    (one) => (used.get(one)?.nanos ?? 0n) + asked.get(one)!.nanos > hard.get(one)!.nanos,
  )
  if (exceeded.length === 0) return
  const list = (amounts: Amounts) =>
    exceeded
      .sort()
      .map((one) => `${one}=${formatQuantity(amounts.get(one) ?? { nanos: 0n, format: 'DecimalSI' })}`)
      .join(',')
  throw refuse(
    `exceeded quota: ${quota.metadata.name}, requested: ${list(asked)}, used: ${list(used)}, limited: ${list(hard)}`,
  )
}

/** What the namespace holds, with the writes of others that are on their way. */
function usedBy(
  quota: StoredObject,
  { namespace, resource, object }: AdmissionRequest,
  pending: Pending,
  lookup: Lookup,
  now: number,
): Amounts {
  const total: Amounts = new Map()
  for (const groupResource of countedWith(resource.groupResource)) {
    const costOf = (one: ApiObject): Amounts =>
      isInScope(quota.spec, groupResource, one) ? usageOf(groupResource, one, now) : new Map()
    const coming = new Map(pending.get(place(namespace, groupResource)))
    coming.delete(uidOf(object!))
    const [plural = '', ...group] = groupResource.split('.')
    for (const live of lookup.list(group.join('.'), plural, namespace)) {
      const cost = costOf(live)
      const next = coming.get(live.metadata.uid)
      if (next) {
        largestAmounts(cost, costOf(next))
        coming.delete(live.metadata.uid)
      }
      addAmounts(total, cost)
    }
    for (const one of coming.values()) addAmounts(total, costOf(one))
  }
  return total
}
