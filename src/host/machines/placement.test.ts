// Which processors a guest gets for itself.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numbersIn, planPlacement } from './placement.ts'
import type { VmiSpec } from './vmi.ts'

const specOf = (cpu: object): VmiSpec => ({ domain: { cpu: { dedicatedCpuPlacement: true, ...cpu } } })
const cpus = [0, 1, 2, 3, 4, 5, 6, 7].map((cpu) => ({ cpu, node: cpu < 4 ? 0 : 1 }))
const two = { sockets: 1, cores: 2, threads: 1 }

test('nobody gets processors who did not ask', () => {
  assert.equal(planPlacement({ domain: {} }, two, cpus, new Set()), undefined)
})

test('a guest gets neighbours, never the first one, and none that another has', () => {
  assert.deepEqual(planPlacement(specOf({}), two, cpus, new Set())?.cpus, [4, 5])
  assert.deepEqual(planPlacement(specOf({}), two, cpus, new Set([4, 5, 6]))?.cpus, [1, 2])
  assert.deepEqual(planPlacement(specOf({ isolateEmulatorThread: true }), two, cpus, new Set([4, 5])), {
    cpus: [1, 2],
    emulator: 3,
  })
})

test('the guest sees the nodes that its processors are on', () => {
  const four = { sockets: 1, cores: 5, threads: 1 }
  const placement = planPlacement(specOf({ numa: { guestMappingPassthrough: {} } }), four, cpus, new Set())
  assert.deepEqual(placement, {
    cpus: [4, 5, 6, 7, 1],
    numa: [
      { hostNode: 1, cpus: [0, 1, 2, 3] },
      { hostNode: 0, cpus: [4] },
    ],
  })
})

test('too few: the guest is unschedulable', () => {
  assert.throws(() => planPlacement(specOf({}), two, cpus.slice(0, 2), new Set()), {
    reason: 'Unschedulable',
    message: /1 Insufficient cpu\. The guest wants 2 .* 1 of 2 are free/,
  })
})

test('sets of processors', () => {
  assert.deepEqual(numbersIn('0-3,^1,7\n'), [0, 2, 3, 7])
})
