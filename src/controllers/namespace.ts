// Namespace lifecycle: a namespace that is being deleted is emptied, kind by kind, and then let go (the `kubernetes`
// finalizer). Mirrors pkg/controller/namespace/deletion (1.32), condition texts included.

import { isApiError } from '../api/errors.ts'
import { type KindDefinition, resourceOf } from '../api/kind.ts'
import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type Condition, withCondition } from './conditions.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { namespaces } from './resources.ts'

/** What is left of a kind after everything was told to go. */
export interface Remaining {
  /** 'deployments.apps'; the core group leaves its dot: 'pods.' */
  resource: string
  count: number
  /** Finalizers that hold objects, and how many of them each. */
  finalizers: Map<string, number>
}

/** Time that Pods and machines are given before the next look. */
const lookAgainMs = 1000

/** Kinds whose objects live in namespaces and can be deleted, each stored resource once. Pure. */
export function contentKinds(kinds: readonly KindDefinition[]): KindDefinition[] {
  const seen = new Set<string>()
  return kinds.filter((kind) => {
    if (kind.scope !== 'Namespaced' || kind.virtual) return false
    if (kind.verbs && !(kind.verbs.includes('list') && kind.verbs.includes('delete'))) return false
    const name = `${kind.group}/${kind.plural}`
    return !seen.has(name) && seen.add(name)
  })
}

const conditionOk: [string, string, string][] = [
  ['NamespaceDeletionDiscoveryFailure', 'ResourcesDiscovered', 'All resources successfully discovered'],
  ['NamespaceDeletionGroupVersionParsingFailure', 'ParsedGroupVersions', 'All legacy kube types successfully parsed'],
]

/** The conditions that say what holds the namespace up. Pure. */
export function deletionConditions(
  current: Condition[] | undefined,
  remaining: Remaining[],
  failures: string[],
  now: string,
): Condition[] {
  let conditions = current ?? []
  const set = (type: string, isBad: boolean, reason: string, message: string) => {
    conditions = withCondition(conditions, { type, status: isBad ? 'True' : 'False', reason, message }, now)
  }
  for (const [type, reason, message] of conditionOk) set(type, false, reason, message)
  if (failures.length)
    set(
      'NamespaceDeletionContentFailure',
      true,
      'ContentDeletionFailed',
      `Failed to delete all resource types, ${failures.length} remaining: ${failures.join(', ')}`,
    )
  else
    set(
      'NamespaceDeletionContentFailure',
      false,
      'ContentDeleted',
      'All content successfully deleted, may be waiting on finalization',
    )
  const left = remaining.map(({ resource, count }) => `${resource} has ${count} resource instances`)
  if (left.length)
    set(
      'NamespaceContentRemaining',
      true,
      'SomeResourcesRemain',
      `Some resources are remaining: ${left.sort().join(', ')}`,
    )
  else set('NamespaceContentRemaining', false, 'ContentRemoved', 'All content successfully removed')
  const held = finalizerTexts(remaining)
  if (held.length)
    set(
      'NamespaceFinalizersRemaining',
      true,
      'SomeFinalizersRemain',
      `Some content in the namespace has finalizers remaining: ${held.join(', ')}`,
    )
  else
    set('NamespaceFinalizersRemaining', false, 'ContentHasNoFinalizers', 'All content-preserving finalizers finished')
  return conditions
}

function finalizerTexts(remaining: Remaining[]): string[] {
  const counts = new Map<string, number>()
  for (const { finalizers } of remaining)
    for (const [name, count] of finalizers) counts.set(name, (counts.get(name) ?? 0) + count)
  return [...counts].map(([name, count]) => `${name} in ${count} resource instances`).sort()
}

export const namespaceLifecycle: ControllerDefinition = {
  name: 'namespace',
  start: (context) => reconcileOn(context, 'namespace', [{ ref: namespaces, keys: itself }], createSync(context), 2),
}

function createSync(context: ControllerContext) {
  const { client, informers, clock, kinds } = context
  const informer = informers.informer(namespaces)

  async function empty(kind: KindDefinition, namespace: string): Promise<Remaining | undefined> {
    const ref = resourceOf(kind)
    const { items } = await client.list(ref, { namespace })
    const left = items.filter((item) => item.metadata.deletionTimestamp)
    for (const { metadata } of items) {
      if (metadata.deletionTimestamp) continue
      try {
        const options = { propagationPolicy: 'Background', preconditions: { uid: metadata.uid } } as const
        const stays = await client.delete<StoredObject | undefined>(ref, metadata.name, namespace, options)
        if (stays) left.push(stays)
      } catch (error) {
        if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
      }
    }
    if (!left.length) return undefined
    const finalizers = new Map<string, number>()
    for (const { metadata } of left)
      for (const name of metadata.finalizers ?? []) finalizers.set(name, (finalizers.get(name) ?? 0) + 1)
    return { resource: `${kind.plural}.${kind.group}`, count: left.length, finalizers }
  }

  /** Pods first: what they use, their permissions and their network policies among it, stays until they are gone. */
  async function emptyAll(namespace: string): Promise<{ remaining: Remaining[]; failures: string[] }> {
    const remaining: Remaining[] = []
    const failures: string[] = []
    const all = contentKinds(kinds())
    const isPod = (kind: KindDefinition) => kind.group === '' && kind.plural === 'pods'
    for (const kind of [...all.filter(isPod), ...all.filter((kind) => !isPod(kind))]) {
      try {
        const left = await empty(kind, namespace)
        if (left) remaining.push(left)
      } catch (error) {
        failures.push(`${kind.plural}: ${(error as Error).message}`)
      }
      if (isPod(kind) && remaining.length) break
    }
    return { remaining, failures }
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const namespace = informer.get(key)
    if (!namespace?.metadata.deletionTimestamp) return undefined
    const finalizers: string[] = namespace.spec?.finalizers ?? []
    if (!finalizers.includes('kubernetes')) return undefined
    const { remaining, failures } = await emptyAll(key)
    if (remaining.length || failures.length) {
      const conditions = deletionConditions(namespace.status?.conditions, remaining, failures, formatTime(clock.now()))
      const status = { ...namespace.status, phase: 'Terminating', conditions }
      if (!semanticallyEqual(status, namespace.status)) await client.updateStatus(namespaces, { ...namespace, status })
      return { requeueAfter: lookAgainMs }
    }
    const spec = { ...namespace.spec, finalizers: finalizers.filter((name) => name !== 'kubernetes') }
    await client.update(namespaces, { ...namespace, spec }, { subresource: 'finalize' })
    return undefined
  }
}
