// Job: runs Pods until enough of them have succeeded.

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { controllerOf, objectKey } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
} from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { indexAnnotation } from './job-indexes.ts'
import { isJobFinished, type JobPlan, type JobPod, planJob, settleJob } from './job-plan.ts'
import { failureCountAnnotation, ignoredCountAnnotation, isTracked, trackingFinalizer } from './job-pods.ts'
import { claimObjects } from './ownership.ts'
import { createPodControl, inGrowingBatches, isNamespaceTerminating, podFromTemplate } from './pod-control.ts'
import { isActive, isFinished, isReady } from './pod-state.ts'
import { jobs, pods } from './resources.ts'

/** Names get five random letters; with an index they stay short enough for a label. */
const longestPrefix = 58

function namePrefix(name: string, index: number | undefined): string {
  const end = index === undefined ? '-' : `-${index}-`
  return index === undefined ? name + end : name.slice(0, longestPrefix - end.length) + end
}

/** A Pod of the Job. Pure. */
export function jobPod(job: StoredObject, { index, failed, ignored }: JobPod = {}): ApiObject {
  const { name, uid } = job.metadata
  const pod = podFromTemplate(job, job.spec.template, namePrefix(name, index))
  const { metadata } = pod
  metadata.finalizers = [...new Set([...(metadata.finalizers ?? []), trackingFinalizer])]
  metadata.labels = {
    ...metadata.labels,
    'batch.kubernetes.io/job-name': name,
    'job-name': name,
    'batch.kubernetes.io/controller-uid': uid,
    'controller-uid': uid,
  }
  if (index === undefined) return pod
  metadata.annotations = {
    ...metadata.annotations,
    [indexAnnotation]: String(index),
    ...(failed !== undefined && { [failureCountAnnotation]: String(failed) }),
    ...(ignored && { [ignoredCountAnnotation]: String(ignored) }),
  }
  metadata.labels[indexAnnotation] = String(index)
  const { containers, initContainers } = pod.spec
  pod.spec = {
    ...pod.spec,
    hostname: `${name}-${index}`,
    containers: containers.map(withIndex),
    ...(initContainers && { initContainers: initContainers.map(withIndex) }),
  }
  return pod
}

function withIndex(container: any): any {
  const env: any[] = container.env ?? []
  if (env.some((each) => each.name === 'JOB_COMPLETION_INDEX')) return container
  const fieldRef = { apiVersion: 'v1', fieldPath: `metadata.labels['${indexAnnotation}']` }
  return { ...container, env: [...env, { name: 'JOB_COMPLETION_INDEX', valueFrom: { fieldRef } }] }
}

export const job: ControllerDefinition = {
  name: 'job',
  start(context) {
    const informer = context.informers.informer(jobs)
    context.informers.informer(pods).addIndex('job', controllerOfKind('Job'))
    const keysOfPod = (pod: StoredObject): string[] => {
      if (controllerOf(pod)) return controllerOfKind('Job')(pod)
      const matching = informer
        .list(pod.metadata.namespace)
        .filter((each) => selectorMatcher(each.spec.selector).matches(pod.metadata.labels))
        .flatMap(itself)
      // A Pod that is held for a Job and belongs to none: looked at under its own name.
      return matching.length === 0 && isTracked(pod) ? itself(pod) : matching
    }
    return reconcileOn(
      context,
      'job',
      [
        { ref: jobs, keys: itself },
        { ref: pods, keys: keysOfPod },
      ],
      createSync(context),
    )
  },
}

function createSync(context: ControllerContext) {
  const { client, informers, clock } = context
  const record = context.recorder('job-controller')
  const jobInformer = informers.informer(jobs)
  const podInformer = informers.informer(pods)
  const podControl = createPodControl(client, record)

  async function release(pod: StoredObject): Promise<void> {
    if (!isTracked(pod)) return
    const { name, namespace } = pod.metadata
    const metadata = { '$deleteFromPrimitiveList/finalizers': [trackingFinalizer] }
    await client.patch(pods, name, namespace, 'strategic', { metadata }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }

  const mayBeAdopted = ({ metadata: { namespace, labels } }: StoredObject): boolean =>
    jobInformer.list(namespace).some((job) => selectorMatcher(job.spec.selector).matches(labels))

  async function writeStatus(job: StoredObject, status: Record<string, unknown>): Promise<StoredObject> {
    return semanticallyEqual(status, job.status) ? job : client.updateStatus(jobs, { ...job, status })
  }

  /** Pods that are too many are let go first, so that their end is no failure. */
  async function remove(job: StoredObject, pod: StoredObject): Promise<void> {
    await release(pod)
    await podControl.delete(job, pod)
  }

  async function act(job: StoredObject, plan: JobPlan): Promise<void> {
    await Promise.all(plan.end.map((pod) => podControl.delete(job, pod)))
    await Promise.all(plan.remove.map((pod) => remove(job, pod)))
    try {
      await inGrowingBatches(plan.create.length, (at) => podControl.create(job, jobPod(job, plan.create[at])))
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error
    }
  }

  const ownedNow = (job: StoredObject): StoredObject[] =>
    podInformer.byIndex('job', objectKey(job)).filter((pod) => controllerOf(pod)?.uid === job.metadata.uid)

  async function claim(job: StoredObject): Promise<StoredObject[]> {
    const { matches } = selectorMatcher(job.spec.selector)
    const candidates = podInformer.list(job.metadata.namespace)
    const owner = { ref: jobs, object: job }
    return claimObjects(client, owner, pods, candidates, (pod) => matches(pod.metadata.labels), [trackingFinalizer])
  }

  /** Pods of a Job that is gone or over are not held any longer. */
  async function releaseAll(job: StoredObject | undefined, related: StoredObject[]): Promise<boolean> {
    const strangers = related.filter((pod) => controllerOf(pod)?.uid !== job?.metadata.uid)
    for (const pod of strangers) await release(pod)
    if (job && !job.metadata.deletionTimestamp && !isJobFinished(job)) return false
    for (const pod of related) await release(pod)
    return true
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const job = jobInformer.get(key)
    const orphan = podInformer.get(key)
    if (orphan && !controllerOf(orphan) && !mayBeAdopted(orphan)) await release(orphan)
    // Another controller's Jobs are all its own.
    if (job?.spec.managedBy && job.spec.managedBy !== 'kubernetes.io/job-controller') return undefined
    if ((await releaseAll(job, podInformer.byIndex('job', key))) || !job) return undefined
    const plan = planJob(job, await claim(job), clock.now())
    let failure: unknown
    await act(job, plan).catch((error) => {
      // Nothing is over before everything that ran was told to end.
      if (plan.end.length) throw error
      failure = error
    })
    const present = ownedNow(job)
    const active = present.filter(isActive)
    plan.status.active = active.length
    plan.status.ready = active.filter(isReady).length
    plan.status.terminating = present.filter((pod) => pod.metadata.deletionTimestamp && !isFinished(pod)).length
    const noted = await writeStatus(job, plan.status)
    for (const event of plan.events) record(job, event.type, event.reason, event.message)
    await Promise.all(plan.settled.map(release))
    const settled = settleJob(noted, noted.status, clock.now())
    await writeStatus(noted, settled.status)
    for (const event of settled.events) record(job, event.type, event.reason, event.message)
    if (failure) throw failure
    return plan.requeueAfter === undefined ? undefined : { requeueAfter: plan.requeueAfter }
  }
}
