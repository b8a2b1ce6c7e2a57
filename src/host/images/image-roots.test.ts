// How an image's layers are named and mounted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chainId, mountArgv } from './image-roots.ts'

test('a single layer has its own name, more of them that of the stack', () => {
  assert.equal(chainId(['sha256:a']), 'sha256:a')
  assert.equal(
    chainId(['sha256:a', 'sha256:b']),
    'sha256:970a948bffa8de94d6e22d747ba8c95030e6e546909f98f54e99a13005e173a8',
  )
})

test('what comes out of an image cannot be written and not be run', () => {
  const line = 'mount -t overlay overlay /x -o index=off,workdir=/w,upperdir=/u,lowerdir=/l\n'
  assert.deepEqual(mountArgv(line, '/t'), [
    ...['mount', '-t', 'overlay', 'overlay', '/t', '-o'],
    'index=off,workdir=/w,upperdir=/u,lowerdir=/l,ro,noexec,nosuid,nodev',
  ])
  assert.throws(() => mountArgv('mount /dev/sda', '/t'))
})
