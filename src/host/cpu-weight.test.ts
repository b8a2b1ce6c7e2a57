// What groups weigh: the kubelet's numbers, and a group as heavy as its parts.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { cpuShares, weighAsParts, weightFile } from './cpu-weight.ts'

test('shares and weights are those of the kubelet', () => {
  assert.deepEqual([0, 1, 100, 1000, 2000, 10 ** 9].map(cpuShares), [2, 2, 102, 1024, 2048, 262_144])
  assert.deepEqual(weightFile(1024, false), { file: 'cpu.shares', value: 1024 })
  assert.deepEqual(
    [2, 102, 1024, 262_144].map((shares) => weightFile(shares, true).value),
    [1, 4, 39, 10_000],
  )
})

test('a group weighs what its parts weigh, within the bounds of the kernel', (t) => {
  const group = mkdtempSync(join(tmpdir(), 'tandem-weight-'))
  t.after(() => rmSync(group, { recursive: true, force: true }))
  for (const [file, weights, sum] of [
    ['cpu.shares', ['102', '2048'], '2150'],
    ['cpu.weight', ['9000', '9000'], '10000'],
    ['cpu.weight', [], '1'],
  ] as const) {
    rmSync(group, { recursive: true })
    mkdirSync(group)
    writeFileSync(join(group, file), '1024')
    weights.forEach((weight, index) => {
      mkdirSync(join(group, `${index}`))
      writeFileSync(join(group, `${index}`, file), weight)
    })
    weighAsParts(group)
    assert.equal(readFileSync(join(group, file), 'utf8'), sum)
  }
  weighAsParts(join(group, 'gone'))
})
