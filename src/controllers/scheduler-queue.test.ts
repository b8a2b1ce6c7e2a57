// The order in which Pods are looked at, and when one that did not fit is looked at again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../base/clock.ts'
import { object, stamp } from './sample.fixture.ts'
import { SchedulerQueue } from './scheduler-queue.ts'

const pod = (name: string, priority: number, second = 0) =>
  object('Pod', name, { metadata: { creationTimestamp: stamp(second) }, spec: { priority } })

test('the most important first, of equals the oldest; what was removed never comes', async () => {
  const queue = new SchedulerQueue(new FakeClock())
  for (const [name, priority, second] of [
    ['a', 0, 3],
    ['b', 5, 9],
    ['c', 0, 1],
    ['d', 5, 2],
    ['e', 9, 0],
  ] as const)
    queue.add(name, pod(name, priority, second))
  queue.remove('d')
  queue.add('a', pod('a', 7))
  const order: string[] = []
  for (let count = 0; count < 4; count++) order.push((await queue.next())!.key)
  assert.deepEqual(order, ['e', 'a', 'b', 'c'])
  queue.close()
  assert.equal(await queue.next(), undefined)
})

test('a parked Pod comes back when something happens, later and later', async () => {
  const clock = new FakeClock()
  const queue = new SchedulerQueue(clock)
  const one = pod('one', 0)
  const came: number[] = []
  queue.park('one', one, 0)
  queue.release()
  came.push((await queue.next())!.attempts)
  queue.park('one', one, 2)
  queue.release(() => false)
  queue.release()
  const next = queue.next().then((found) => came.push(found!.attempts))
  assert.deepEqual(came, [1])
  await clock.advance(1000)
  await next
  assert.deepEqual(came, [1, 3])
})
