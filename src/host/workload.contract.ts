// What every workload driver promises, told with an object that it can run. A driver's test gives the way to open one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import type { WorkloadDriver } from './workload.ts'

export interface WorkloadSubject {
  driver: WorkloadDriver
  /** An object that starts soon and runs until it is stopped. */
  object: StoredObject
  /** Opens the driver anew over the same machine, as after a kill -9 of Tandem. Absent: the driver keeps nothing. */
  reopen?(): Promise<WorkloadDriver>
  close(): Promise<void>
}

const attempts = 600

export function workloadContract(name: string, open: () => Promise<WorkloadSubject>): void {
  const check = (what: string, body: (subject: WorkloadSubject) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const subject = await open()
      try {
        await body(subject)
      } finally {
        await subject.close()
      }
    })

  check('an object is brought to Running, and is found on the machine', async ({ driver, object }) => {
    const running = await untilRunning(driver, object)
    assert.equal(running.status?.phase, 'Running')
    const { uid, name, namespace } = object.metadata
    assert.deepEqual(await driver.found(), [{ uid, namespace, name }])
    assert.equal(driver.stopped(uid), false)
  })

  check('a sync of what runs changes nothing', async ({ driver, object }) => {
    const running = await untilRunning(driver, object)
    const again = await driver.sync(running)
    assert.deepEqual(again.status ?? running.status, running.status)
  })

  check('a deleted object is stopped, then removed without a trace, twice', async ({ driver, object }) => {
    const running = await untilRunning(driver, object)
    await untilStopped(driver, running)
    const { uid, name, namespace = '' } = object.metadata
    await driver.remove({ uid, namespace, name })
    await driver.remove({ uid, namespace, name })
    assert.deepEqual(await driver.found(), [])
  })

  check('remove stops what still runs', async ({ driver, object }) => {
    await untilRunning(driver, object)
    const { uid, name, namespace = '' } = object.metadata
    await driver.remove({ uid, namespace, name })
    assert.equal(driver.stopped(uid), true)
    assert.deepEqual(await driver.found(), [])
  })

  check('what runs is taken over after a restart', async ({ driver, object, reopen }) => {
    if (!reopen) return
    const running = await untilRunning(driver, object)
    const second = await reopen()
    assert.deepEqual(
      (await second.found()).map(({ uid }) => uid),
      [object.metadata.uid],
    )
    const taken = await untilRunning(second, running)
    assert.equal(taken.status?.phase, 'Running')
    await second.remove({
      uid: object.metadata.uid,
      namespace: object.metadata.namespace ?? '',
      name: object.metadata.name,
    })
  })
}

async function untilRunning(driver: WorkloadDriver, object: StoredObject): Promise<StoredObject> {
  return await syncUntil(driver, object, (current) => current.status?.phase === 'Running')
}

async function untilStopped(driver: WorkloadDriver, object: StoredObject): Promise<void> {
  const deleted = {
    ...object,
    metadata: { ...object.metadata, deletionTimestamp: new Date().toISOString(), deletionGracePeriodSeconds: 1 },
  }
  await syncUntil(driver, deleted, () => driver.stopped(object.metadata.uid))
}

/** Syncs as the host does: after each change that the driver tells of, and when it asks to come back. */
async function syncUntil(
  driver: WorkloadDriver,
  object: StoredObject,
  done: (current: StoredObject) => boolean,
): Promise<StoredObject> {
  let current = object
  for (let attempt = 0; attempt < attempts; attempt++) {
    let wake = () => {}
    const changed = new Promise<void>((resolve) => {
      wake = resolve
    })
    driver.onChange(wake)
    const { status, requeueAfter } = await driver.sync(current)
    if (status) current = { ...current, status }
    if (done(current)) return current
    const timer = setTimeout(wake, Math.min(requeueAfter ?? 100, 100))
    await changed
    clearTimeout(timer)
  }
  throw new Error(`${driver.kind} ${object.metadata.name} did not get there: ${JSON.stringify(current.status)}`)
}
