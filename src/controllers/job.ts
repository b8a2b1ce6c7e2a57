// Job: runs Pods until enough of them have succeeded.

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { controllerOf } from '../api/meta.ts'
import { selectorMatcher } from '../api/selector.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import {
  type ControllerContext,
  type ControllerDefinition,
  controllerOfKind,
  itself,
  reconcileOn,
  splitKey,
} from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { indexAnnotation } from './job-indexes.ts'
import { isIndexed, isJobFinished, isTracked, planJob, settleJob, trackingFinalizer } from './job-plan.ts'
import { claimObjects } from './ownership.ts'
import { createPodControl, inGrowingBatches, isNamespaceTerminating, podFromTemplate } from './pod-control.ts'
import { jobs, pods } from './resources.ts'

/** A Pod of the Job; `index` for an Indexed one. Pure. */
export function jobPod(job: StoredObject, index?: number): ApiObject {
  const { name } = job.metadata
  const base = index === undefined ? `${name}-` : `${name}-${index}-`
  const pod = podFromTemplate(job, job.spec.template, base)
  const { metadata } = pod
  metadata.finalizers = [...(metadata.finalizers ?? []), trackingFinalizer]
  metadata.labels = {
    ...metadata.labels,
    'batch.kubernetes.io/job-name': name,
    'job-name': name,
    'batch.kubernetes.io/controller-uid': job.metadata.uid,
    'controller-uid': job.metadata.uid,
  }
  if (index === undefined) return pod
  metadata.annotations = { ...metadata.annotations, [indexAnnotation]: String(index) }
  metadata.labels[indexAnnotation] = String(index)
  const env = {
    name: 'JOB_COMPLETION_INDEX',
    valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: `metadata.labels['${indexAnnotation}']` } },
  }
  const withEnv = (container: any) => ({ ...container, env: [...(container.env ?? []), env] })
  const { containers, initContainers } = pod.spec
  pod.spec = {
    ...pod.spec,
    hostname: `${name}-${index}`,
    containers: containers.map(withEnv),
    ...(initContainers && { initContainers: initContainers.map(withEnv) }),
  }
  return pod
}

export const job: ControllerDefinition = {
  name: 'job',
  start(context) {
    const informer = context.informers.informer(jobs)
    context.informers.informer(pods).addIndex('job', controllerOfKind('Job'))
    const keysOfPod = (pod: StoredObject): string[] =>
      controllerOf(pod)
        ? controllerOfKind('Job')(pod)
        : informer
            .list(pod.metadata.namespace)
            .filter((each) => selectorMatcher(each.spec.selector).matches(pod.metadata.labels))
            .flatMap(itself)
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
    const { name, namespace, resourceVersion, finalizers = [] } = pod.metadata
    const rest = finalizers.filter((finalizer) => finalizer !== trackingFinalizer)
    const metadata = { resourceVersion, finalizers: rest.length ? rest : null }
    await client.patch(pods, name, namespace, 'merge', { metadata }).catch((error) => {
      if (!isApiError(error, 'NotFound')) throw error
    })
  }

  async function writeStatus(job: StoredObject, status: Record<string, unknown>): Promise<StoredObject> {
    return semanticallyEqual(status, job.status) ? job : client.updateStatus(jobs, { ...job, status })
  }

  async function act(job: StoredObject, plan: ReturnType<typeof planJob>): Promise<void> {
    await Promise.all(plan.delete.map((pod) => podControl.delete(job, pod)))
    const indexes = Array.isArray(plan.create) ? plan.create : undefined
    const count = indexes?.length ?? (plan.create as number)
    try {
      await inGrowingBatches(count, (at) => podControl.create(job, jobPod(job, indexes?.[at])))
    } catch (error) {
      if (!isNamespaceTerminating(error)) throw error
    }
  }

  return async (key: string): Promise<ReconcileResult | undefined> => {
    const job = jobInformer.get(key)
    const related = podInformer.byIndex('job', key)
    // Pods of a Job that is gone or over are not held any longer.
    const strangers = related.filter((pod) => controllerOf(pod)?.uid !== job?.metadata.uid)
    for (const pod of strangers) await release(pod)
    if (!job) return undefined
    if (job.metadata.deletionTimestamp || isJobFinished(job)) {
      for (const pod of related) await release(pod)
      return undefined
    }
    if (job.spec.managedBy && job.spec.managedBy !== 'kubernetes.io/job-controller') return undefined
    const { matches } = selectorMatcher(job.spec.selector)
    const own = await claimObjects(
      client,
      { ref: jobs, object: job },
      pods,
      podInformer.list(splitKey(key).namespace),
      (pod) => matches(pod.metadata.labels) || controllerOf(pod)?.uid === job.metadata.uid,
    )
    const plan = planJob(job, own, clock.now())
    const noted = await writeStatus(job, plan.status)
    for (const event of plan.events) record(job, event.type, event.reason, event.message)
    const { succeeded = [], failed = [] } = plan.status.uncountedTerminatedPods
    const ended = new Set<string>([...succeeded, ...failed])
    const isOver = (pod: StoredObject) =>
      ended.has(pod.metadata.uid) ||
      (isIndexed(job) && pod.status?.phase === 'Succeeded') ||
      (job.spec.suspend && pod.metadata.deletionTimestamp)
    for (const pod of own) if (isOver(pod)) await release(pod)
    const settled = settleJob(noted.status, clock.now())
    await writeStatus(noted, settled.status)
    if (settled.event) record(job, settled.event.type, settled.event.reason, settled.event.message)
    await act(noted, plan)
    return plan.requeueAfter === undefined ? undefined : { requeueAfter: plan.requeueAfter }
  }
}
