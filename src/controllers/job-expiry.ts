// Finished Jobs are deleted ttlSecondsAfterFinished after their end (pkg/controller/ttlafterfinished, 1.32).

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type Condition, isTrue } from './conditions.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { moment } from './moment.ts'
import { jobs } from './resources.ts'

/** Milliseconds until the Job expires; undefined when it never does. Pure. */
export function timeToLive(job: StoredObject, now: number): number | undefined {
  const seconds = job.spec.ttlSecondsAfterFinished
  if (seconds === undefined || seconds === null || job.metadata.deletionTimestamp) return undefined
  const ends: Condition[] = (job.status?.conditions ?? []).filter(
    ({ type }: Condition) => (type === 'Complete' || type === 'Failed') && isTrue(job.status.conditions, type),
  )
  const end = moment(ends[0]?.lastTransitionTime)
  return Number.isNaN(end) ? undefined : Math.max(end + seconds * 1000 - now, 0)
}

export const jobExpiry: ControllerDefinition = {
  name: 'job-expiry',
  start(context) {
    const { client, informers, clock } = context
    const informer = informers.informer(jobs)
    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const job = informer.get(key)
      const left = job && timeToLive(job, clock.now())
      if (!job || left === undefined) return undefined
      if (left > 0) return { requeueAfter: left }
      const { name, namespace, uid, resourceVersion } = job.metadata
      const options = { propagationPolicy: 'Foreground', preconditions: { uid, resourceVersion } } as const
      await client.delete(jobs, name, namespace, options).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
      return undefined
    }
    return reconcileOn(context, 'job-expiry', [{ ref: jobs, keys: itself }], sync, 1)
  },
}
