// Which process is whose shim.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shimId } from './strays.ts'

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
