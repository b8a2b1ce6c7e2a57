// Which process is whose shim, and which directories are nobody's.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createStrays, shimId } from './strays.ts'

const socket = '/run/tandem-1a2b/containerd.sock'
const shim = (address: string) => [
  '/usr/bin/containerd-shim-runc-v2',
  '-namespace',
  'k8s.io',
  '-id',
  'abc',
  '-address',
  address,
  '',
]

test('a shim of this containerd is known by its sandbox', () => {
  assert.equal(shimId(shim(socket), socket), 'abc')
})

test('other shims and other programs are not touched', () => {
  assert.equal(shimId(shim('/run/containerd/containerd.sock'), socket), undefined)
  assert.equal(shimId(['ctr', '-address', socket, '-id', 'abc'], socket), undefined)
  assert.equal(shimId([''], socket), undefined)
})

test('directories of a container that stays unknown go; those of a known one and other names stay', async () => {
  const state = mkdtempSync(join(tmpdir(), 'tandem-strays-'))
  try {
    const of = (name: string) => join(state, 'io.containerd.runtime.v2.task/k8s.io', name)
    const [known, stray, other] = ['a'.repeat(64), 'b'.repeat(64), 'lost+found'] as const
    for (const name of [known, stray, other]) mkdirSync(join(of(name), 'rootfs'), { recursive: true })
    const strays = createStrays({ cgroup: '/tandem-strays-test', socket, directories: [state] })
    await strays.remove(new Set([known]))
    assert.ok(existsSync(of(stray)), 'one look is not enough')
    for (let look = 2; look <= 5; look++) await strays.remove(new Set([known]))
    assert.deepEqual(
      [known, stray, other].map((name) => existsSync(of(name))),
      [true, false, true],
    )
  } finally {
    rmSync(state, { recursive: true, force: true })
  }
})
