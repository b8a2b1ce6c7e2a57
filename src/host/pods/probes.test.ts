// When probes run and what their answers add up to, on a clock that the test moves.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../base/clock.ts'
import { type ProbeKind, type ProbeWatch, type WatchedContainer, watchProbes } from './probes.ts'

const second = 1000

interface Scene {
  clock: FakeClock
  told: string[]
  answers: Record<ProbeKind, boolean>
  watch: ProbeWatch
}

function watchWith(container: Partial<WatchedContainer>): Scene {
  const clock = new FakeClock()
  const told: string[] = []
  const answers = { startup: true, readiness: true, liveness: true }
  const watch = watchProbes(
    { startedAt: clock.now(), started: false, ready: false, ...container },
    {
      run: async (kind) => {
        told.push(`ask ${kind}`)
        return { ok: answers[kind], output: 'no' }
      },
      changed: ({ started, ready }) => told.push(`started ${started} ready ${ready}`),
      failed: (kind) => told.push(`failed ${kind}`),
      unhealthy: () => {},
    },
    clock,
  )
  return { clock, told, answers, watch }
}

test('the first question waits for initialDelaySeconds, the next for periodSeconds', async () => {
  const { clock, told } = watchWith({ readinessProbe: { initialDelaySeconds: 5, periodSeconds: 2 } })
  await clock.advance(4 * second)
  assert.equal(told.length, 0)
  await clock.advance(second)
  assert.deepEqual(told, ['ask readiness', 'started true ready true'])
  await clock.advance(4 * second)
  assert.equal(told.filter((line) => line.startsWith('ask')).length, 3)
})

test('readiness falls after failureThreshold answers and rises after successThreshold', async () => {
  const { clock, told, answers } = watchWith({
    readinessProbe: { periodSeconds: 1, failureThreshold: 2, successThreshold: 2 },
  })
  await clock.advance(0)
  assert.ok(!told.includes('started true ready true'))
  await clock.advance(second)
  assert.ok(told.includes('started true ready true'))
  answers.readiness = false
  await clock.advance(second)
  assert.ok(!told.includes('started true ready false'))
  await clock.advance(second)
  assert.ok(told.includes('started true ready false'))
})

test('liveness fails once, after three answers by default, and asks no more', async () => {
  const { clock, told, answers } = watchWith({ livenessProbe: { periodSeconds: 1 } })
  await clock.advance(5 * second)
  answers.liveness = false
  await clock.advance(2 * second)
  assert.ok(!told.includes('failed liveness'))
  await clock.advance(20 * second)
  assert.equal(told.filter((line) => line === 'failed liveness').length, 1)
  assert.equal(clock.pending, 0)
})

test('nothing else is asked before the startup probe has passed', async () => {
  const { clock, told, answers } = watchWith({
    startupProbe: { periodSeconds: 1, failureThreshold: 30 },
    readinessProbe: { periodSeconds: 1 },
    livenessProbe: { periodSeconds: 1 },
  })
  answers.startup = false
  await clock.advance(10 * second)
  assert.equal(told.filter((line) => line !== 'ask startup').length, 0)
  answers.startup = true
  await clock.advance(second)
  assert.ok(told.includes('started true ready false'))
  const asked = told.length
  await clock.advance(5 * second)
  assert.ok(!told.slice(asked).includes('ask startup'))
  assert.ok(told.includes('ask liveness'))
})

test('a startup probe that never passes ends the container', async () => {
  const { clock, told, answers } = watchWith({ startupProbe: { periodSeconds: 1, failureThreshold: 2 } })
  answers.startup = false
  await clock.advance(5 * second)
  assert.deepEqual(told, ['ask startup', 'ask startup', 'failed startup'])
})

test('what was ready before a restart of Tandem stays ready; a stopped watch is silent', async () => {
  const { clock, told, answers, watch } = watchWith({
    started: true,
    ready: true,
    readinessProbe: { periodSeconds: 1, failureThreshold: 3 },
  })
  answers.readiness = false
  await clock.advance(second)
  assert.ok(!told.some((line) => line.startsWith('started')))
  watch.stop()
  const asked = told.length
  await clock.advance(60 * second)
  assert.equal(told.length, asked)
})
