// Pods leave a node with a NoExecute taint that they do not bear, at once or when the time is over for which they bear it
// (pkg/controller/tainteviction, 1.36). A node that is gone from the map of the living gets no such taint here: with one
// node that would be all of them, and upstream evicts nobody then either.

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { equalJson } from '../api/walk/plain.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type Taint, tolerates } from '../kinds/core/node-matching.ts'
import { type ControllerDefinition, reconcileOn } from './controller.ts'
import { isFinished } from './pod-state.ts'
import { nodes, pods } from './resources.ts'

const noExecute = (node: StoredObject | undefined): Taint[] =>
  ((node?.spec?.taints ?? []) as Taint[]).filter(({ effect }) => effect === 'NoExecute')

/** For how many milliseconds the Pod bears these taints; 0 = not at all. Pure. */
export function bearsFor(pod: StoredObject, taints: Taint[]): number {
  let shortest = Number.POSITIVE_INFINITY
  for (const taint of taints) {
    const using = ((pod.spec.tolerations ?? []) as any[]).filter((toleration) => tolerates([toleration], taint))
    if (using.length === 0) return 0
    for (const { tolerationSeconds } of using)
      if (typeof tolerationSeconds === 'number') shortest = Math.min(shortest, Math.max(tolerationSeconds, 0) * 1000)
  }
  return shortest
}

export const taintEviction: ControllerDefinition = {
  name: 'taint-eviction-controller',
  start(context) {
    const { client, informers, clock } = context
    const record = context.recorder('taint-eviction-controller')
    const podInformer = informers.informer(pods)
    const nodeInformer = informers.informer(nodes)
    podInformer.addIndex('taintedNode', (pod) => (pod.spec.nodeName && !isFinished(pod) ? [pod.spec.nodeName] : []))
    /** Since when a Pod has to bear what its node has, by uid. */
    const bearing = new Map<string, { since: number; taints: Taint[] }>()
    podInformer.addHandler({ changed() {}, removed: ({ metadata }) => void bearing.delete(metadata.uid) })

    async function evict(pod: StoredObject): Promise<void> {
      const { name, namespace, uid, generation } = pod.metadata
      record(pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${namespace}/${name}`)
      const condition = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'DeletionByTaintManager',
        message: 'Taint manager: deleting due to NoExecute taint',
        lastProbeTime: null,
        lastTransitionTime: formatTime(clock.now()),
        ...(generation && { observedGeneration: generation }),
      }
      try {
        const patch = { metadata: { uid }, status: { conditions: [condition] } }
        await client.patch(pods, name, namespace, 'strategic', patch, { subresource: 'status' })
        await client.delete(pods, name, namespace, { preconditions: { uid } })
      } catch (error) {
        if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
      }
    }

    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const pod = podInformer.get(key)
      if (!pod?.spec.nodeName || pod.metadata.deletionTimestamp || isFinished(pod)) return undefined
      const { uid, name, namespace } = pod.metadata
      const taints = noExecute(nodeInformer.get(pod.spec.nodeName))
      const known = bearing.get(uid)
      if (taints.length === 0) {
        if (known && bearing.delete(uid))
          record(pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${namespace}/${name}`)
        return undefined
      }
      const time = bearsFor(pod, taints)
      const since = known && equalJson(known.taints, taints) ? known.since : clock.now()
      bearing.set(uid, { since, taints })
      if (!Number.isFinite(time)) return undefined
      const left = since + time - clock.now()
      if (left > 0) return { requeueAfter: left }
      bearing.delete(uid)
      await evict(pod)
      return undefined
    }

    const onNode = (node: StoredObject) =>
      noExecute(node).length ? podInformer.byIndex('taintedNode', node.metadata.name).map(objectKey) : []
    const concerned = (pod: StoredObject) =>
      bearing.has(pod.metadata.uid) || noExecute(nodeInformer.get(pod.spec.nodeName ?? '')).length
        ? [objectKey(pod)]
        : []
    return reconcileOn(
      context,
      'taint-eviction',
      [
        { ref: pods, keys: concerned },
        { ref: nodes, keys: onNode },
      ],
      sync,
    )
  },
}
