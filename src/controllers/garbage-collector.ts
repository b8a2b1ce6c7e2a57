// The garbage collector: objects whose owners are gone go too; foreground and orphan deletion. Works on every kind that
// the server serves. Behaviour of pkg/controller/garbagecollector (1.32).

import { isApiError } from '../api/errors.ts'
import { type KindDefinition, resourceOf } from '../api/kind.ts'
import type { OwnerReference, ResourceRef, StoredObject } from '../api/meta.ts'
import { objectKey, parseGroupVersion } from '../api/meta.ts'
import type { Informer } from '../client/informer.ts'
import { createReconciler, type ReconcileResult } from '../client/reconciler.ts'
import type { ControllerContext, ControllerDefinition } from './controller.ts'
import { ownersWithout, setOwners } from './ownership.ts'
import {
  blockingDependents,
  foregroundFinalizer,
  letsGoOfDependents,
  type OwnerState,
  orphanFinalizer,
  verdict,
  waitsForDependents,
} from './ownership-graph.ts'

/** Nothing owns an event in a way that matters, and there are many. */
const ignored = new Set(['/events', 'events.k8s.io/events'])
/** New kinds (custom resources) are looked for this often. */
const discoverMs = 5000

interface Collected {
  kind: KindDefinition
  ref: ResourceRef
  informer: Informer
}

const nameOf = (kind: KindDefinition): string => `${kind.group}/${kind.plural}`

/** Kinds whose objects can own or be owned, each stored resource once. Pure. */
export function collectedKinds(kinds: readonly KindDefinition[]): KindDefinition[] {
  const seen = new Set<string>(ignored)
  return kinds.filter((kind) => {
    if (kind.virtual || seen.has(nameOf(kind))) return false
    if (kind.verbs && !['list', 'watch', 'delete'].every((verb) => kind.verbs!.includes(verb))) return false
    return seen.add(nameOf(kind))
  })
}

export const garbageCollector: ControllerDefinition = {
  name: 'garbage-collector',
  start(context) {
    const { informers, clock, log, kinds } = context
    /** 'apps/deployments' → what we collect. */
    const collected = new Map<string, Collected>()
    const collector = createCollector(context, collected)
    const reconciler = createReconciler({
      name: 'garbage-collector',
      clock,
      log,
      concurrency: 8,
      reconcile: collector.reconcile,
    })
    const enqueue = (object: StoredObject) => {
      const name = collector.nameOf(object)
      if (name) reconciler.enqueue(`${name} ${objectKey(object)}`)
    }

    function add(kind: KindDefinition): void {
      const ref = resourceOf(kind)
      const informer = informers.informer(ref)
      informer.addIndex('owner', (object) => (object.metadata.ownerReferences ?? []).map((owner) => owner.uid))
      collected.set(nameOf(kind), { kind, ref, informer })
      informer.addHandler({
        changed: (object) => {
          const { ownerReferences, deletionTimestamp } = object.metadata
          if (!ownerReferences?.length && !deletionTimestamp) return
          enqueue(object)
          if (waitsForDependents(object)) collector.dependentsOf(object).forEach(enqueue)
          // An owner that waits may now have one less to wait for.
          if (deletionTimestamp) collector.ownersOf(object).forEach(enqueue)
        },
        removed: (object) => {
          collector.dependentsOf(object).forEach(enqueue)
          collector.ownersOf(object).forEach(enqueue)
        },
      })
    }

    let stopped = false
    async function follow(): Promise<void> {
      while (!stopped) {
        const present = collectedKinds(kinds())
        const isServed = ({ ref }: Collected) =>
          kinds().some((kind) => nameOf(kind) === `${ref.group}/${ref.resource}` && kind.version === ref.version)
        for (const [name, entry] of collected) {
          if (isServed(entry)) continue
          collected.delete(name)
          informers.forget(entry.ref)
        }
        const fresh = present.filter((kind) => !collected.has(nameOf(kind)))
        for (const kind of fresh) add(kind)
        if (fresh.length) await Promise.all([...collected.values()].map(({ informer }) => informer.synced()))
        if (!stopped) reconciler.start()
        await clock.sleep(discoverMs, stopping.signal).catch(() => {})
      }
    }
    const stopping = new AbortController()
    void follow()
    return {
      stop: () => {
        stopped = true
        stopping.abort()
        return reconciler.stop()
      },
    }
  },
}

function createCollector({ client, recorder }: ControllerContext, collected: Map<string, Collected>) {
  const record = recorder('garbage-collector-controller')

  function byKind(apiVersion: string, kind: string): Collected | undefined {
    const { group } = parseGroupVersion(apiVersion)
    for (const entry of collected.values()) if (entry.kind.group === group && entry.kind.kind === kind) return entry
    return undefined
  }

  const entryOf = (object: StoredObject): Collected | undefined => byKind(object.apiVersion, object.kind)

  function dependentsOf(owner: StoredObject): StoredObject[] {
    const found: StoredObject[] = []
    for (const { informer } of collected.values()) found.push(...informer.byIndex('owner', owner.metadata.uid))
    return found
  }

  /** The owner as the informer knows it, in the dependent's namespace or cluster-wide. */
  function known(object: StoredObject, reference: OwnerReference): StoredObject | undefined {
    const entry = byKind(reference.apiVersion, reference.kind)
    if (!entry) return undefined
    const owner = entry.informer.get(ownerKey(entry, object, reference))
    return owner?.metadata.uid === reference.uid ? owner : undefined
  }

  const ownerKey = (entry: Collected, object: StoredObject, reference: OwnerReference): string =>
    entry.kind.scope === 'Namespaced' ? `${object.metadata.namespace ?? ''}/${reference.name}` : reference.name

  const ownersOf = (object: StoredObject): StoredObject[] =>
    (object.metadata.ownerReferences ?? []).flatMap((reference) => known(object, reference) ?? [])

  /** An owner that the informer does not know is asked for at the server before anything is deleted for its absence. */
  async function stateOf(object: StoredObject, reference: OwnerReference): Promise<OwnerState> {
    let owner = known(object, reference)
    if (!owner) {
      const entry = byKind(reference.apiVersion, reference.kind)
      // A kind that is not served here cannot be judged: nothing is deleted because of it.
      if (!entry) return 'solid'
      const namespace = entry.kind.scope === 'Namespaced' ? object.metadata.namespace : undefined
      if (entry.kind.scope === 'Namespaced' && !namespace) {
        tellForeign(object, reference)
        return 'solid'
      }
      owner = await client.get(entry.ref, reference.name, namespace).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
        return undefined
      })
      if (owner?.metadata.uid !== reference.uid) {
        const isElsewhere = entry.informer.list().some(({ metadata }) => metadata.uid === reference.uid)
        if (isElsewhere) tellForeign(object, reference)
        return 'absent'
      }
    }
    return waitsForDependents(owner) && reference.blockOwnerDeletion ? 'waiting' : 'solid'
  }

  /** Owners are looked for where the object is, never in another namespace. */
  function tellForeign(object: StoredObject, { apiVersion, kind, name, uid }: OwnerReference): void {
    const { namespace = '' } = object.metadata
    const owner = `[${apiVersion}/${kind}, namespace: ${namespace}, name: ${name}, uid: ${uid}]`
    const where = `does not exist in namespace ${JSON.stringify(namespace)}`
    record(object, 'Warning', 'OwnerRefInvalidNamespace', `ownerRef ${owner} ${where}`)
  }

  /** Objects that own each other in a circle would wait for each other for ever. */
  async function breakCircle(entry: Collected, object: StoredObject): Promise<void> {
    if (!dependentsOf(object).some(waitsForDependents)) return
    const references = object.metadata.ownerReferences ?? []
    if (!references.some((reference) => reference.blockOwnerDeletion)) return
    const unblocked = references.map((reference) => ({ ...reference, blockOwnerDeletion: false }))
    await setOwners(client, entry.ref, object, unblocked)
  }

  async function reconcile(key: string): Promise<ReconcileResult | undefined> {
    const space = key.indexOf(' ')
    const entry = collected.get(key.slice(0, space))
    const object = entry?.informer.get(key.slice(space + 1))
    if (!entry || !object) return undefined
    if (letsGoOfDependents(object)) return orphanDependents(entry, object)
    if (object.metadata.deletionTimestamp) {
      if (waitsForDependents(object)) await finishForeground(entry, object)
      return undefined
    }
    await collect(entry, object)
    return undefined
  }

  async function orphanDependents(entry: Collected, owner: StoredObject): Promise<undefined> {
    for (const dependent of dependentsOf(owner)) {
      const { ref } = entryOf(dependent)!
      const written = await setOwners(client, ref, dependent, ownersWithout(dependent, owner.metadata.uid))
      if (!written) {
        const { name, namespace } = dependent.metadata
        const now = await client.get(ref, name, namespace).catch(() => undefined)
        if (now?.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid))
          throw new Error(`${dependent.kind} ${name} changed while it was let go: trying again`)
      }
    }
    await removeFinalizer(entry.ref, owner, orphanFinalizer)
  }

  async function finishForeground(entry: Collected, owner: StoredObject): Promise<void> {
    const blocking = blockingDependents(owner, dependentsOf(owner))
    if (!blocking.length) return removeFinalizer(entry.ref, owner, foregroundFinalizer)
    // Those that are not on their way out yet are judged now; each of them comes back here when it is gone.
    for (const dependent of blocking)
      if (!dependent.metadata.deletionTimestamp) await collect(entryOf(dependent)!, dependent)
  }

  async function collect(entry: Collected, object: StoredObject): Promise<void> {
    const references = object.metadata.ownerReferences ?? []
    if (!references.length) return
    const owners: { reference: OwnerReference; state: OwnerState }[] = []
    for (const reference of references) owners.push({ reference, state: await stateOf(object, reference) })
    const decided = verdict(object, owners, dependentsOf(object))
    if (decided.kind === 'unreference') await setOwners(client, entry.ref, object, decided.owners)
    if (decided.kind !== 'delete') return
    if (decided.propagation === 'Foreground') await breakCircle(entry, object)
    const { name, namespace, uid } = object.metadata
    const { resourceVersion } = entry.informer.get(objectKey(object))?.metadata ?? object.metadata
    try {
      await client.delete(entry.ref, name, namespace, {
        propagationPolicy: decided.propagation,
        preconditions: { uid, resourceVersion },
      })
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error
    }
  }

  async function removeFinalizer(ref: ResourceRef, object: StoredObject, finalizer: string): Promise<void> {
    const { name, namespace, resourceVersion, finalizers = [] } = object.metadata
    const rest = finalizers.filter((other) => other !== finalizer)
    const metadata = { resourceVersion, finalizers: rest.length ? rest : null }
    await client.patch(ref, name, namespace, 'merge', { metadata }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }

  return {
    reconcile,
    dependentsOf,
    ownersOf,
    nameOf: (object: StoredObject): string | undefined => {
      const entry = entryOf(object)
      return entry && nameOf(entry.kind)
    },
  }
}
