// Pods that nobody will ever finish: on a node that is gone, being deleted without having had a node, or beyond the number
// of finished ones that are kept. Numbers of pkg/controller/podgc (1.32).

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerDefinition, reconcileOn } from './controller.ts'
import { moment } from './moment.ts'
import { isFinished } from './pod-state.ts'
import { nodes, pods } from './resources.ts'

const keptFinished = 12_500
const roundMs = 20_000
/** A node must have been away this long before its Pods are given up. */
const quarantineMs = 40_000

/** The Pods to remove at once. `missingSince`: nodes that Pods name and that do not exist, since when. Pure. */
export function abandonedPods(
  all: StoredObject[],
  nodeNames: Set<string>,
  missingSince: Map<string, number>,
  now: number,
): StoredObject[] {
  const found = new Set<StoredObject>()
  for (const pod of all) {
    const { nodeName } = pod.spec
    if (!nodeName && pod.metadata.deletionTimestamp) found.add(pod)
    if (nodeName && !nodeNames.has(nodeName) && now - (missingSince.get(nodeName) ?? now) >= quarantineMs)
      found.add(pod)
  }
  const finished = all
    .filter(isFinished)
    .sort((a, b) => moment(a.metadata.creationTimestamp) - moment(b.metadata.creationTimestamp))
  for (const pod of finished.slice(0, Math.max(finished.length - keptFinished, 0))) found.add(pod)
  return [...found]
}

export const podCollector: ControllerDefinition = {
  name: 'pod-garbage-collector',
  start(context) {
    const { client, informers, clock } = context
    const podInformer = informers.informer(pods)
    const nodeInformer = informers.informer(nodes)
    const missingSince = new Map<string, number>()

    async function remove({ metadata }: StoredObject): Promise<void> {
      const { name, namespace, uid } = metadata
      await client.delete(pods, name, namespace, { gracePeriodSeconds: 0, preconditions: { uid } }).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
    }

    async function sync(): Promise<ReconcileResult> {
      const all = podInformer.list()
      const names = new Set(nodeInformer.list().map((node) => node.metadata.name))
      const named = new Set(all.map((pod) => pod.spec.nodeName).filter(Boolean) as string[])
      for (const name of missingSince.keys()) if (names.has(name) || !named.has(name)) missingSince.delete(name)
      for (const name of named) if (!names.has(name) && !missingSince.has(name)) missingSince.set(name, clock.now())
      for (const pod of abandonedPods(all, names, missingSince, clock.now())) await remove(pod)
      return { requeueAfter: roundMs }
    }

    const nothing = () => []
    const watched = [
      { ref: pods, keys: nothing },
      { ref: nodes, keys: nothing },
    ]
    const running = reconcileOn(context, 'pod-garbage-collector', watched, sync, 1)
    running.reconciler.enqueue('round', roundMs)
    return running
  },
}
