// Drives Pods as the host agent does: sync after each change that the driver tells of, keep the newest status.

import type { StoredObject } from '../../src/api/meta.ts'
import type { WorkloadDriver } from '../../src/host/workload.ts'

export interface Driving {
  add(pod: StoredObject): void
  /** Deletes it as `kubectl delete --grace-period` does. */
  delete(pod: StoredObject, graceSeconds?: number): void
  object(pod: StoredObject): StoredObject
  /** Resolves with the status as soon as `done` holds. */
  until(pod: StoredObject, done: (status: any) => boolean, timeoutMs?: number): Promise<any>
  /** Every status that was reported, in order. */
  history(pod: StoredObject): any[]
}

export function drive(driver: WorkloadDriver, told: (uid: string, status: object) => void = () => {}): Driving {
  const objects = new Map<string, StoredObject>()
  const histories = new Map<string, any[]>()
  const waiters = new Set<() => void>()
  const running = new Map<string, boolean>()

  async function sync(uid: string): Promise<void> {
    const object = objects.get(uid)
    if (!object) return
    if (running.has(uid)) {
      running.set(uid, true)
      return
    }
    running.set(uid, false)
    const { status, requeueAfter } = await driver.sync(object)
    if (status) {
      objects.set(uid, { ...objects.get(uid)!, status })
      histories.get(uid)!.push(status)
      told(uid, status)
    }
    const again = running.get(uid)
    running.delete(uid)
    for (const wake of waiters) wake()
    if (requeueAfter !== undefined) setTimeout(() => void sync(uid), requeueAfter)
    if (again) await sync(uid)
  }

  driver.onChange((uid) => void sync(uid))
  return {
    add(pod) {
      objects.set(pod.metadata.uid, pod)
      histories.set(pod.metadata.uid, [])
      void sync(pod.metadata.uid)
    },
    delete(pod, graceSeconds = 2) {
      const object = objects.get(pod.metadata.uid)!
      const metadata = {
        ...object.metadata,
        deletionTimestamp: new Date().toISOString(),
        deletionGracePeriodSeconds: graceSeconds,
      }
      objects.set(pod.metadata.uid, { ...object, metadata })
      void sync(pod.metadata.uid)
    },
    object: (pod) => objects.get(pod.metadata.uid)!,
    history: (pod) => histories.get(pod.metadata.uid)!,
    until(pod, done, timeoutMs = 120_000) {
      const { uid, name } = pod.metadata
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiters.delete(check)
          reject(new Error(`${name} did not get there: ${JSON.stringify(objects.get(uid)?.status)}`))
        }, timeoutMs)
        const check = () => {
          const { status } = objects.get(uid)!
          if (!status || !done(status)) return
          clearTimeout(timer)
          waiters.delete(check)
          resolve(status)
        }
        waiters.add(check)
        check()
      })
    },
  }
}

export const isReady = (status: any): boolean =>
  status.conditions?.some(({ type, status: value }: any) => type === 'Ready' && value === 'True')
