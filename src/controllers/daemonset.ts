// DaemonSet: a Pod on every node that fits, replaced when it ends and when the template changes. Behaviour and events of
// pkg/controller/daemon (1.36).

import type { StoredObject } from '../api/meta.ts'
import { controllerOf } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
} from './controller.ts'
import {
  daemonPod,
  daemonSetStatus,
  fitOf,
  hashOf,
  type NodeFit,
  planNode,
  planUpdate,
  podsByNode,
} from './daemonset-plan.ts'
import { semanticallyEqual } from './equality.ts'
import { claimObjects } from './ownership.ts'
import { createPodControl, inGrowingBatches, isNamespaceTerminating } from './pod-control.ts'
import { nextAvailability } from './replicaset.ts'
import { controllerRevisions, daemonSets, nodes, pods } from './resources.ts'
import { createHistory, revisionHashLabel } from './revision-history.ts'

const burst = 250
/** A Pod that failed is replaced after 1 s, then after twice as long each time, at most 15 minutes. */
const firstRetryMs = 1000
const longestRetryMs = 900_000

/** What of a node decides whether daemons belong on it. */
const facts = ({ metadata, spec }: StoredObject) => [metadata.labels, spec?.taints, spec?.unschedulable]

export const daemonSet: ControllerDefinition = {
  name: 'daemonset',
  start(context) {
    const informer = context.informers.informer(daemonSets)
    const keysOfPod = (pod: StoredObject): string[] => {
      if (controllerOf(pod)) return controllerOfKind('DaemonSet')(pod)
      const isCandidate = (set: StoredObject) => selectorMatcher(set.spec.selector).matches(pod.metadata.labels)
      return informer.list(pod.metadata.namespace).filter(isCandidate).flatMap(itself)
    }
    const nothing = () => []
    const watched = [
      { ref: daemonSets, keys: itself },
      { ref: pods, keys: keysOfPod },
      { ref: nodes, keys: nothing },
      { ref: controllerRevisions, keys: nothing },
    ]
    const running = reconcileOn(context, 'daemonset', watched, createSync(context), 2)
    const all = () => {
      for (const set of informer.list()) running.reconciler.enqueue(itself(set)[0]!)
    }
    // A node tells of itself every few seconds; only what it is counts.
    context.informers.informer(nodes).addHandler({
      changed: (node, old) => {
        if (!old || !semanticallyEqual(facts(node), facts(old))) all()
      },
      removed: all,
    })
    return running
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('daemonset-controller')
  const known = informers.informer(daemonSets)
  const podInformer = informers.informer(pods)
  const nodeInformer = informers.informer(nodes)
  const history = createHistory(context, { ref: daemonSets, hashLabel: revisionHashLabel })
  const control = createPodControl(client, record)
  /** By set and node: how often its Pod failed, and when the last one was removed. */
  const failures = new Map<string, { count: number; at: number }>()

  async function claim(set: StoredObject): Promise<StoredObject[]> {
    const { matches } = selectorMatcher(set.spec.selector)
    const candidates = podInformer.list(set.metadata.namespace)
    return claimObjects(client, { ref: daemonSets, object: set }, pods, candidates, (pod) =>
      matches(pod.metadata.labels),
    )
  }

  /** The failed Pods to remove now, and when to look at the others. */
  function dueFailures(
    set: StoredObject,
    nodeName: string,
    ended: StoredObject[],
  ): { due: StoredObject[]; wait?: number } {
    const due: StoredObject[] = []
    const key = `${set.metadata.uid}/${nodeName}`
    const now = clock.now()
    for (const pod of ended) {
      const subject = `${pod.metadata.namespace}/${pod.metadata.name} on node ${nodeName}`
      if (pod.status?.phase === 'Succeeded') {
        record(set, 'Normal', 'SucceededDaemonPod', `Found succeeded daemon pod ${subject}, will try to delete it`)
        due.push(pod)
        continue
      }
      const before = failures.get(key)
      const delay = before ? Math.min(firstRetryMs * 2 ** (before.count - 1), longestRetryMs) : 0
      const left = before ? before.at + delay - now : 0
      if (left > 0) return { due, wait: left }
      // After a long time without failures it counts from the beginning.
      const isOld = before && now - before.at > 2 * longestRetryMs
      failures.set(key, { count: before && !isOld ? before.count + 1 : 1, at: now })
      record(set, 'Warning', 'FailedDaemonPod', `Found failed daemon pod ${subject}, will try to kill it`)
      due.push(pod)
    }
    return { due }
  }

  async function change(set: StoredObject, hash: string, remove: StoredObject[], create: string[]): Promise<void> {
    try {
      const now = create.slice(0, burst)
      await inGrowingBatches(now.length, (index) => control.create(set, daemonPod(set, hash, now[index]!)))
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error
    }
    await Promise.all(remove.slice(0, burst).map((pod) => control.delete(set, pod)))
  }

  /** One Pod per node where one belongs, none elsewhere. Returns when to look again. */
  async function manage(set: StoredObject, fits: Map<string, NodeFit>, hash: string): Promise<number | undefined> {
    const byNode = podsByNode(await claim(set))
    const create: string[] = []
    const remove: StoredObject[] = []
    let wait: number | undefined
    for (const [name, fit] of fits) {
      const plan = planNode(set, fit, byNode.get(name) ?? [], hash, clock.now())
      if (plan.create) create.push(name)
      const ended = dueFailures(set, name, plan.ended)
      remove.push(...plan.surplus, ...ended.due)
      if (ended.wait !== undefined) wait = Math.min(wait ?? ended.wait, ended.wait)
    }
    // What waits for a node that is gone will never be scheduled.
    for (const [name, lost] of byNode)
      if (!fits.has(name)) remove.push(...lost.filter((pod) => !pod.spec.nodeName && !pod.metadata.deletionTimestamp))
    await change(set, hash, remove, create)
    return wait
  }

  const ownedNow = (set: StoredObject): StoredObject[] =>
    podInformer.list(set.metadata.namespace).filter((pod) => controllerOf(pod)?.uid === set.metadata.uid)

  async function update(set: StoredObject, fits: Map<string, NodeFit>, hash: string): Promise<void> {
    const plan = planUpdate(set, podsByNode(ownedNow(set)), fits, hash, clock.now())
    await change(set, hash, plan.delete, plan.create)
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const set = known.get(key)
    if (!set || set.metadata.deletionTimestamp) return undefined
    const revisions = await history.list(set)
    const { revision, collisions } = await history.current(set, revisions)
    const hash = revision.metadata.labels?.[revisionHashLabel] ?? revision.metadata.name
    const fits = new Map(nodeInformer.list().map((node) => [node.metadata.name, fitOf(set, node)]))
    let wait: number | undefined
    let failure: unknown
    try {
      wait = await manage(set, fits, hash)
      await update(set, fits, hash)
    } catch (error) {
      failure = error
    }
    const now = clock.now()
    const present = ownedNow(set)
    const counts = daemonSetStatus(set, podsByNode(present), fits, hash, now)
    const status = { ...set.status, ...counts, ...(collisions && { collisionCount: collisions }) }
    if (!semanticallyEqual(status, set.status)) await client.updateStatus(daemonSets, { ...set, status })
    if (failure) throw failure
    const used = new Set([hash, ...present.map(hashOf)])
    await history.truncate(set, revisions, ({ metadata }) => used.has(metadata.labels?.[revisionHashLabel] ?? ''))
    const next = nextAvailability(present, set.spec.minReadySeconds ?? 0, now)
    const waits = [wait, next].filter((each) => each !== undefined)
    return waits.length ? { requeueAfter: Math.min(...waits) } : undefined
  }
}
