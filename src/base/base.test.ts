// Tests of the clock, the queue, the logger and retrying: all on a clock that only moves when told to.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from './clock.ts'
import { createLogger, jsonLine, type LogRecord, textLine } from './log.ts'
import { WorkQueue } from './queue.ts'
import { backoffDelay, retry, workqueueBackoff } from './retry.ts'

test('a key is never in work twice and comes again when it was added meanwhile', async () => {
  const queue = new WorkQueue()
  queue.add('a')
  queue.add('a')
  queue.add('b')
  assert.equal(queue.length, 2)
  assert.equal(await queue.next(), 'a')
  queue.add('a')
  queue.add('a')
  assert.equal(await queue.next(), 'b')
  assert.equal(queue.length, 0)
  queue.done('a')
  assert.equal(await queue.next(), 'a')
  queue.done('a')
  queue.done('b')
  assert.equal(queue.idle, true)
})

test('a waiting taker gets the key at once, and undefined when the queue closes', async () => {
  const queue = new WorkQueue()
  const first = queue.next()
  const second = queue.next()
  queue.add('a')
  assert.equal(await first, 'a')
  queue.add('a')
  queue.close()
  queue.done('a')
  assert.equal(await second, undefined)
  assert.equal(await queue.next(), undefined)
})

test('of several delays the earliest counts', async () => {
  const clock = new FakeClock()
  const queue = new WorkQueue({ clock })
  queue.addAfter('a', 100)
  queue.addAfter('a', 50)
  queue.addAfter('a', 200)
  await clock.advance(49)
  assert.equal(queue.length, 0)
  await clock.advance(1)
  assert.equal(await queue.next(), 'a')
  queue.done('a')
  await clock.advance(1000)
  assert.equal(queue.idle, true)
})

test('failures double the delay from 5 ms to 1000 s, forget starts over', () => {
  const queue = new WorkQueue({ clock: new FakeClock() })
  assert.deepEqual([queue.addFailed('a'), queue.addFailed('a'), queue.addFailed('a')], [5, 10, 20])
  assert.equal(queue.failures('a'), 3)
  queue.forget('a')
  assert.equal(queue.addFailed('a'), 5)
  assert.equal(backoffDelay(2000, workqueueBackoff), 1_000_000)
  queue.close()
})

test('retry tries until it works, and not when the error is final', async () => {
  const clock = new FakeClock()
  let tries = 0
  const good = retry(async () => (++tries < 3 ? Promise.reject(new Error('no')) : tries), { clock, base: 10 })
  await clock.advance(30)
  assert.equal(await good, 3)
  await assert.rejects(
    retry(async () => Promise.reject(new Error('final')), { clock, retryable: () => false }),
    /final/,
  )
  await assert.rejects(
    retry(async () => Promise.reject(new Error('once')), { clock, attempts: 1 }),
    /once/,
  )
})

test('an aborted sleep rejects with the reason and leaves no timer', async () => {
  const clock = new FakeClock()
  const stop = new AbortController()
  const sleeping = clock.sleep(1000, stop.signal)
  stop.abort(new Error('stopped'))
  await assert.rejects(sleeping, /stopped/)
  assert.equal(clock.pending, 0)
})

test('the logger hides secrets, keeps one line, and drops what is below its level', () => {
  const records: LogRecord[] = []
  const log = createLogger((record) => records.push(record), { component: 'server', now: () => 0 })
  log.debug('not shown')
  log.child('auth', { user: 'ann' }).warn('bad\nlogin', {
    token: 'abc',
    secretName: 'db',
    error: new Error('x', { cause: new Error('y') }),
  })
  assert.equal(records.length, 1)
  assert.equal(
    textLine(records[0]!),
    '1970-01-01T00:00:00.000Z warn  server.auth bad login user=ann token="[hidden]" secretName=db error="x: y"',
  )
  assert.equal(JSON.parse(jsonLine(records[0]!)).error, 'x: y')
})
