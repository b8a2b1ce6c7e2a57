// The scheduler of one node: gives a Pod its node once it fits there, or says in a condition and an event why not
// (condition and events of pkg/scheduler, 1.32). Claims that wait for their first consumer are told of the node first.

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { findCondition, withCondition } from './conditions.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { isFinished } from './pod-state.ts'
import {
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  storageClasses,
  virtualMachineInstances,
} from './resources.ts'
import { failureText, matchesNodeTerms, misfits, usedOn } from './scheduler-fit.ts'
import { bindCompleted, claimsOfPod, classOf, selectedNode } from './volume-matching.ts'

const schedulerName = 'default-scheduler'
/** A Pod that did not fit is looked at again this often even if nothing seems to have changed. */
const retryMs = 30_000

/** A Pod that waits for a node. Pure. */
export const isWaiting = (pod: StoredObject): boolean =>
  !pod.spec.nodeName &&
  !pod.metadata.deletionTimestamp &&
  !isFinished(pod) &&
  (pod.spec.schedulerName ?? schedulerName) === schedulerName

/** What the claims of a Pod say about it. */
type Claims =
  | { kind: 'ready' }
  /** Claims to be told of the node; the Pod waits until they are bound. */
  | { kind: 'wait'; tell: StoredObject[] }
  | { kind: 'refuse'; message: string }

export const scheduler: ControllerDefinition = {
  name: 'scheduler',
  start(context) {
    const informer = context.informers.informer(pods)
    informer.addIndex('waiting', (pod) => (isWaiting(pod) ? ['yes'] : []))
    const waiting = () => informer.byIndex('waiting', 'yes').flatMap(itself)
    const freed = (object: StoredObject) => (isFinished(object) || object.metadata.deletionTimestamp ? waiting() : [])
    return reconcileOn(
      context,
      'scheduler',
      [
        { ref: pods, keys: (pod) => (isWaiting(pod) ? itself(pod) : freed(pod)) },
        { ref: nodes, keys: waiting },
        { ref: persistentVolumeClaims, keys: waiting },
        { ref: virtualMachineInstances, keys: freed },
        { ref: storageClasses, keys: () => [] },
        { ref: persistentVolumes, keys: () => [] },
      ],
      createSync(context),
      // One after the other: two Pods must not be promised the same room.
      1,
    )
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder(schedulerName)
  const podInformer = informers.informer(pods)
  const machines = informers.informer(virtualMachineInstances)
  const nodeInformer = informers.informer(nodes)
  const claims = informers.informer(persistentVolumeClaims)
  const volumes = informers.informer(persistentVolumes)
  const classes = informers.informer(storageClasses)
  podInformer.addIndex('node', (pod) => (pod.spec.nodeName ? [pod.spec.nodeName] : []))
  /** Pods that we have bound and whose change is still under way, by uid. */
  const bound = new Map<string, StoredObject>()
  podInformer.addHandler({
    changed: (pod) => {
      if (pod.spec.nodeName) bound.delete(pod.metadata.uid)
    },
    removed: (pod) => bound.delete(pod.metadata.uid),
  })

  function podsOn(node: StoredObject): StoredObject[] {
    const assumed = [...bound.values()]
    return [...podInformer.byIndex('node', node.metadata.name).filter((pod) => !isFinished(pod)), ...assumed]
  }

  function claimsOf(pod: StoredObject, node: StoredObject): Claims {
    const tell: StoredObject[] = []
    let isWaitingForBinding = false
    for (const name of claimsOfPod(pod)) {
      const claim = claims.get(`${pod.metadata.namespace}/${name}`)
      if (!claim) return { kind: 'refuse', message: `persistentvolumeclaim "${name}" not found` }
      if (claim.metadata.deletionTimestamp)
        return { kind: 'refuse', message: `persistentvolumeclaim "${name}" is being deleted` }
      if (claim.status?.phase === 'Lost')
        return {
          kind: 'refuse',
          message: `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${claim.spec.volumeName ?? ''}"`,
        }
      if (claim.spec.volumeName && claim.metadata.annotations?.[bindCompleted]) {
        const affinity = volumes.get(claim.spec.volumeName)?.spec.nodeAffinity?.required
        if (affinity && !matchesNodeTerms(node, affinity.nodeSelectorTerms ?? []))
          return { kind: 'refuse', message: '1 node(s) had volume node affinity conflict' }
        continue
      }
      const mode = classes.get(classOf(claim) ?? '')?.volumeBindingMode
      if (mode !== 'WaitForFirstConsumer')
        return { kind: 'refuse', message: 'pod has unbound immediate PersistentVolumeClaims' }
      isWaitingForBinding = true
      if (!claim.metadata.annotations?.[selectedNode]) tell.push(claim)
    }
    return isWaitingForBinding ? { kind: 'wait', tell } : { kind: 'ready' }
  }

  async function refuse(pod: StoredObject, message: string, reason = 'Unschedulable'): Promise<ReconcileResult> {
    const old = findCondition(pod.status?.conditions, 'PodScheduled')
    if (old?.status !== 'False' || old.reason !== reason || old.message !== message) {
      const now = formatTime(clock.now())
      const condition = { type: 'PodScheduled', status: 'False', reason, message, lastProbeTime: null } as const
      const conditions = withCondition(pod.status?.conditions, condition, now)
      await client.updateStatus(pods, { ...pod, status: { ...pod.status, conditions } })
    }
    if (reason === 'Unschedulable') record(pod, 'Warning', 'FailedScheduling', message)
    return { requeueAfter: retryMs }
  }

  async function bind(pod: StoredObject, node: StoredObject): Promise<void> {
    const { name, namespace, uid } = pod.metadata
    bound.set(uid, pod)
    try {
      await client.create(
        pods,
        {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name, namespace: namespace!, uid },
          target: { apiVersion: 'v1', kind: 'Node', name: node.metadata.name },
        },
        { subresource: 'binding' },
      )
    } catch (error) {
      bound.delete(uid)
      // Gone, or bound already: the informer will tell.
      if (isApiError(error, 'NotFound') || isApiError(error, 'Conflict')) return
      throw error
    }
    const text = `Successfully assigned ${namespace}/${name} to ${node.metadata.name}`
    record(pod, 'Normal', 'Scheduled', text)
    if (podInformer.get(`${namespace}/${name}`)?.spec.nodeName) bound.delete(uid)
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const pod = podInformer.get(key)
    if (!pod || !isWaiting(pod) || bound.has(pod.metadata.uid)) return undefined
    if (pod.spec.schedulingGates?.length)
      return refuse(pod, 'Scheduling is blocked due to non-empty scheduling gates', 'SchedulingGated')
    const node = nodeInformer.list()[0]
    if (!node) return refuse(pod, failureText(0, []))
    const found = claimsOf(pod, node)
    if (found.kind === 'refuse') {
      const preemption = 'preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.'
      return refuse(pod, `0/1 nodes are available: ${found.message}. ${preemption}`)
    }
    const others = podsOn(node)
    const problems = misfits(pod, node, usedOn(others, machines.list()), others)
    if (problems.length) return refuse(pod, failureText(1, problems))
    if (found.kind === 'ready') {
      await bind(pod, node)
      return undefined
    }
    for (const { metadata } of found.tell)
      await client.patch(persistentVolumeClaims, metadata.name, metadata.namespace, 'merge', {
        metadata: { annotations: { [selectedNode]: node.metadata.name } },
      })
    // The claims' change brings the Pod back.
    return { requeueAfter: retryMs }
  }
}
