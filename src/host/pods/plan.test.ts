// What is done next, for Pods in every stage of their life.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBackoff } from './backoff.ts'
import { containerHash } from './names.ts'
import { formatSeconds, plan } from './plan.ts'
import { exited, podOf, recordOf, sandboxOf, start, viewOf } from './pod.fixture.ts'
import type { PodObject } from './pod.ts'
import type { PodView } from './view.ts'

const now = start + 10_000
const steps = (view: PodView): string[] =>
  plan(view, createBackoff(), now).steps.map((step) => {
    if (step.do === 'start') return `start ${step.container.name} ${step.restartCount}`
    if (step.do === 'sandbox') return `sandbox ${step.attempt}`
    return 'record' in step ? `${step.do} ${step.record.id}` : step.do
  })

const two = [
  { name: 'a', image: 'x' },
  { name: 'b', image: 'x' },
]
const init = [
  { name: 'one', image: 'x' },
  { name: 'side', image: 'x', restartPolicy: 'Always' },
  { name: 'two', image: 'x' },
]
const withInit = podOf({ initContainers: init })
const policy = (restartPolicy: string): PodObject => podOf({ restartPolicy })
const old = (name: string, exitCode = 0) => exited(name, exitCode, { sandboxId: 'sandbox-old' })

const table: [string, PodView, string[]][] = [
  ['nothing yet', viewOf(podOf(), [], { sandbox: undefined }), ['sandbox 0']],
  ['its sandbox is being made', viewOf(podOf(), [], { sandbox: undefined, sandboxBusy: true }), []],
  ['a sandbox', viewOf(podOf({ containers: two })), ['start a 0', 'start b 0']],
  ['one is busy', viewOf(podOf({ containers: two }), [], { busy: new Set(['a']) }), ['start b 0']],
  ['all runs', viewOf(podOf(), [recordOf('main')]), []],
  ['left half-created', viewOf(podOf(), [recordOf('main', { state: 'created' })]), ['discard main-0']],
  [
    'left half-created, to run once',
    viewOf(policy('Never'), [recordOf('main', { state: 'created' })]),
    ['discard main-0'],
  ],
  ['init first', viewOf(withInit), ['start one 0']],
  ['init runs', viewOf(withInit, [recordOf('one')]), []],
  ['init failed, again', viewOf(withInit, [exited('one', 1)]), ['start one 1']],
  ['then the sidecar', viewOf(withInit, [exited('one', 0)]), ['start side 0']],
  ['then the next', viewOf(withInit, [exited('one', 0), recordOf('side')]), ['start two 0']],
  ['then the main ones', viewOf(withInit, [exited('one', 0), recordOf('side'), exited('two', 0)]), ['start main 0']],
  ['a sidecar comes back', viewOf(withInit, [exited('side', 1), recordOf('main')]), ['start side 1']],
  ['init containers may be forgotten', viewOf(withInit, [recordOf('side'), recordOf('main')]), []],
  ['a new sandbox starts over', viewOf(withInit, [old('one'), old('side'), old('two'), old('main')]), ['start one 1']],
  ['a dead sandbox', viewOf(podOf(), [exited('main', 137)], { sandbox: sandboxOf({ ready: false }) }), ['sandbox 1']],
  ['Always, after success', viewOf(policy('Always'), [exited('main', 0)]), ['start main 1']],
  ['OnFailure, after success', viewOf(policy('OnFailure'), [exited('main', 0)]), ['finish']],
  ['OnFailure, after failure', viewOf(policy('OnFailure'), [exited('main', 1)]), ['start main 1']],
  ['Never, after failure', viewOf(policy('Never'), [exited('main', 1)]), ['finish']],
  [
    'finished and its sandbox stopped',
    viewOf(policy('Never'), [exited('main', 1)], { sandbox: sandboxOf({ ready: false }) }),
    [],
  ],
  [
    'the last main one ended: sidecars go',
    viewOf(podOf({ restartPolicy: 'Never', initContainers: [init[1]] }), [recordOf('side'), exited('main', 0)]),
    ['kill side-0'],
  ],
  [
    'an init container failed for good',
    viewOf(podOf({ restartPolicy: 'Never', initContainers: [init[0]] }), [exited('one', 1)]),
    ['finish'],
  ],
  [
    'past its deadline',
    viewOf(podOf(), [recordOf('main')], { ended: { reason: 'DeadlineExceeded', message: '' } }),
    ['kill main-0'],
  ],
  ['another image', viewOf(podOf(), [recordOf('main', { hash: 'other' })]), ['kill main-0']],
  ['the same image', viewOf(podOf(), [recordOf('main', { hash: containerHash(podOf().spec.containers[0]!) })]), []],
]

for (const [name, view, expected] of table) test(`plan: ${name}`, () => assert.deepEqual(steps(view), expected))

test('plan: the runtime lost a container that the API remembers', () => {
  const pod = podOf()
  pod.status = { containerStatuses: [{ name: 'main', restartCount: 4, containerID: 'containerd://x' }] } as never
  assert.deepEqual(steps(viewOf(pod)), ['start main 5'])
})

test('plan: a second crash waits, then goes on', () => {
  const backoff = createBackoff()
  const view = viewOf(podOf(), [exited('main', 1, { finishedAt: now })])
  const key = `${view.pod.metadata.uid}/main/${containerHash(view.pod.spec.containers[0]!)}`
  backoff.next(key, now - 5000, now - 5000)
  const waiting = plan(view, backoff, now + 1000)
  assert.deepEqual(waiting.steps, [])
  assert.equal(waiting.wakeAt, now + 10_000)
  assert.equal(waiting.waiting.get('main')?.reason, 'CrashLoopBackOff')
  assert.match(waiting.waiting.get('main')!.message!, /^back-off 10s restarting failed container=main pod=web_shop\(/)
  assert.equal(plan(view, backoff, now + 10_000).steps.length, 1)
})

test('back-off doubles to five minutes and is forgotten after ten', () => {
  const backoff = createBackoff()
  const seen: number[] = []
  for (let count = 0; count < 7; count++) {
    backoff.next('k', 0, 0)
    seen.push(backoff.delay('k') / 1000)
  }
  assert.deepEqual(seen, [10, 20, 40, 80, 160, 300, 300])
  backoff.next('k', 700_000, 700_000)
  assert.equal(backoff.delay('k'), 10_000)
  backoff.forget('k')
  assert.equal(backoff.remaining('k', 700_000, 700_000), 0)
})

test('durations read as Go prints them', () => {
  assert.deepEqual([10_000, 80_000, 300_000].map(formatSeconds), ['10s', '1m20s', '5m0s'])
})
