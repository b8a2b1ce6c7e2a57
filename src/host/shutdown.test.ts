// The order in which Pods end when the machine goes down.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../base/clock.ts'
import { silentLogger } from '../base/log.ts'
import { podOf } from './pods/pod.fixture.ts'
import { endPods } from './shutdown.ts'

test('ordinary Pods end first, critical ones when those are gone or their time is over', async () => {
  const clock = new FakeClock()
  const pod = (uid: string, more: object) => podOf(more, { uid, name: uid })
  const pods = [
    pod('slow', { terminationGracePeriodSeconds: 600 }),
    pod('quick', { terminationGracePeriodSeconds: 1 }),
    pod('dns', { priority: 2_000_000_000 }),
  ]
  const ended: string[] = []
  const running = new Set(['slow', 'quick', 'dns'])
  const done = endPods({
    pods: () => pods,
    evict(uid, { reason, graceSeconds, disruption }) {
      ended.push(`${uid} ${reason} ${graceSeconds} ${disruption}`)
      if (uid !== 'slow') running.delete(uid)
    },
    running: () => [...running],
    clock,
    log: silentLogger,
  })
  assert.deepEqual(ended, ['slow Terminated 30 true', 'quick Terminated 1 true'])
  await clock.advance(29_000)
  assert.equal(ended.length, 2)
  await clock.advance(2_000)
  await done
  assert.deepEqual(ended[2], 'dns Terminated 10 true')
})
