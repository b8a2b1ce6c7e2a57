// Work for many changes: once for those that come together, later again after a failure, not after the stop.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { gatherWork } from './gathered-work.ts'

/** Lets what is promised happen. */
const turns = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}

async function after(ms: number) {
  mock.timers.tick(ms)
  await turns()
}

test('changes that come together are one piece of work, a failure is tried again, a stop ends it', async () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    let runs = 0
    const failures: string[] = []
    let problem: string | undefined
    const gathered = gatherWork({
      async work() {
        runs++
        if (problem) throw new Error(problem)
      },
      failed: (error) => failures.push((error as Error).message),
      settleMs: 10,
      retryMs: 1000,
    })
    gathered.soon()
    gathered.soon()
    await after(10)
    assert.equal(runs, 1)

    problem = 'no port'
    gathered.soon()
    await after(10)
    assert.deepEqual([runs, failures], [2, ['no port']])
    problem = undefined
    await after(999)
    assert.equal(runs, 2)
    await after(1)
    assert.equal(runs, 3)

    // What changes does not wait for the retry.
    gathered.later()
    gathered.soon()
    await after(10)
    assert.equal(runs, 4)
    await after(1000)
    assert.equal(runs, 4)

    gathered.soon()
    await gathered.stop()
    await after(10)
    assert.equal(runs, 4)
  } finally {
    mock.timers.reset()
  }
})
