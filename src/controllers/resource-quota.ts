// ResourceQuota: status says what the namespace may hold and what it holds. Counts only kinds that some quota names
// (pkg/controller/resourcequota, 1.36); admission counts for itself and does not wait for this.

import { type KindDefinition, resourceOf } from '../api/kind.ts'
import { objectKey, type StoredObject } from '../api/meta.ts'
import { formatQuantity } from '../api/quantity.ts'
import { copyJson, equalJson } from '../api/walk/plain.ts'
import type { Informer } from '../client/informer.ts'
import { createReconciler, type ReconcileResult } from '../client/reconciler.ts'
import { type Amounts, addAmounts, quantityFrom } from '../kinds/core/pod-resources.ts'
import { countsFor, isCounted, isInScope, usageOf } from '../kinds/core/quota-usage.ts'
import type { ControllerContext, ControllerDefinition } from './controller.ts'
import { resourceQuotas } from './resources.ts'

/** For Pods that should be gone, and a status that somebody wrote: all is counted anew (upstream: every 5 minutes). */
const resyncMs = 60_000

const groupResourceOf = ({ group, plural }: KindDefinition): string => (group ? `${plural}.${group}` : plural)

/** Kinds of which a quota counts objects, one version each. Pure. */
export function countedKinds(kinds: readonly KindDefinition[], hard: readonly string[]): KindDefinition[] {
  const seen = new Set<string>()
  return kinds.filter((kind) => {
    const name = groupResourceOf(kind)
    if (kind.virtual || kind.scope !== 'Namespaced' || seen.has(name) || !isCounted(name)) return false
    if (!hard.some((resource) => countsFor(name, resource))) return false
    return seen.add(name)
  })
}

export interface Counted {
  groupResource: string
  objects: readonly StoredObject[]
}

/** What the quota's objects cost, for each name in `hard` that somebody counts. Pure. */
export function usedBy(quota: StoredObject, counted: readonly Counted[], now: number): Record<string, string> {
  const hard = Object.keys(quota.spec?.hard ?? {})
  const used: Amounts = new Map()
  for (const { groupResource, objects } of counted) {
    const names = hard.filter((name) => countsFor(groupResource, name))
    for (const name of names) if (!used.has(name)) used.set(name, quantityFrom('0'))
    for (const object of objects) {
      if (!isInScope(quota.spec, groupResource, object)) continue
      const usage = usageOf(groupResource, object, now)
      addAmounts(used, new Map([...usage].filter(([name]) => names.includes(name))))
    }
  }
  return Object.fromEntries([...used].map(([name, amount]) => [name, formatQuantity(amount)]))
}

export const resourceQuota: ControllerDefinition = {
  name: 'resource-quota',
  start(context) {
    const { informers, clock, log } = context
    const quotas = informers.informer(resourceQuotas)
    const counting = createCounting(context, (namespace) => {
      for (const quota of quotas.list(namespace)) reconciler.enqueue(objectKey(quota))
    })
    const reconciler = createReconciler({
      name: 'resource-quota',
      clock,
      log,
      reconcile: (key) => reconcileQuota(context, quotas.get(key), counting),
    })
    quotas.addHandler({
      // Who writes the status by hand is left alone until something is counted.
      changed: (quota, old) => {
        if (!old || !equalJson(old.spec, quota.spec)) reconciler.enqueue(objectKey(quota))
      },
      removed: () => {},
    })
    void quotas.synced().then(() => reconciler.start())
    return { stop: () => reconciler.stop() }
  },
}

interface Counting {
  count(kinds: readonly KindDefinition[], namespace: string): Promise<Counted[]>
}

/** Looks at a kind from the first quota on that counts it. `changed`: what a namespace holds costs something else now. */
function createCounting({ informers, clock }: ControllerContext, changed: (namespace: string) => void): Counting {
  const watched = new Map<string, Informer>()
  function watch(kind: KindDefinition): Informer {
    const groupResource = groupResourceOf(kind)
    const known = watched.get(groupResource)
    if (known) return known
    const informer = informers.informer(resourceOf(kind))
    watched.set(groupResource, informer)
    const tell = (object: StoredObject) => changed(object.metadata.namespace ?? '')
    informer.addHandler({
      changed: (object, old) => {
        const now = clock.now()
        const cost = (one: StoredObject) => shown(usageOf(groupResource, one, now))
        if (!old || !equalJson(cost(old), cost(object)) || !equalJson(old.spec, object.spec)) tell(object)
      },
      removed: tell,
    })
    return informer
  }
  return {
    async count(kinds, namespace) {
      const found = kinds.map((kind) => ({ groupResource: groupResourceOf(kind), informer: watch(kind) }))
      await Promise.all(found.map(({ informer }) => informer.synced()))
      return found.map(({ groupResource, informer }) => ({ groupResource, objects: informer.list(namespace) }))
    },
  }
}

const shown = (amounts: Amounts): Record<string, string> =>
  Object.fromEntries([...amounts].map(([name, amount]) => [name, String(amount.nanos)]))

async function reconcileQuota(
  { client, clock, kinds }: ControllerContext,
  quota: StoredObject | undefined,
  counting: Counting,
): Promise<ReconcileResult | undefined> {
  if (!quota || quota.metadata.deletionTimestamp) return undefined
  const { namespace = '' } = quota.metadata
  const hard: Record<string, string> = quota.spec?.hard ?? {}
  const counted = await counting.count(countedKinds(kinds(), Object.keys(hard)), namespace)
  const status = { hard, used: usedBy(quota, counted, clock.now()) }
  if (!equalJson(withoutEmpty(quota.status), withoutEmpty(status))) {
    const next = copyJson(quota)
    next.status = status
    await client.updateStatus(resourceQuotas, next)
  }
  return { requeueAfter: resyncMs }
}

const withoutEmpty = (status: Record<string, any> | undefined) => ({
  hard: status?.hard ?? {},
  used: status?.used ?? {},
})
