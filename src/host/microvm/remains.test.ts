// What belongs to nobody goes at the second look; what containerd knows stays.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { firstUser, userCount } from './places.ts'
import { createRemains, isServerOf } from './remains.ts'

const [known, stray, container] = ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)] as const

test('folders, links and users of nobody', async () => {
  const run = mkdtempSync(join(tmpdir(), 'tandem-remains-'))
  try {
    // Users that nobody has: a process of one would be ended.
    const users = [firstUser + userCount, firstUser + userCount + 1, firstUser + userCount + 2]
    for (const [index, id] of [known, stray].entries()) {
      mkdirSync(join(run, 'pods', id, 'tree/c', container), { recursive: true })
      writeFileSync(join(run, 'pods', id, 'state.json'), JSON.stringify({ user: users[index] }))
    }
    for (const user of users) mkdirSync(join(run, 'users', `${user}`), { recursive: true })
    mkdirSync(join(run, 'containers'))
    symlinkSync(join(run, 'pods', known), join(run, 'containers', container))
    const remains = createRemains(run)

    await remains.removeStrays(new Set([known]))
    assert.ok(existsSync(join(run, 'pods', stray)), 'one look is not enough')
    await remains.removeStrays(new Set([known]))
    const left = (path: string) => existsSync(join(run, path))
    assert.deepEqual([`pods/${known}/state.json`, `pods/${known}/tree/c/${container}`, `pods/${stray}`].map(left), [
      true,
      false,
      false,
    ])
    assert.equal(left(`containers/${container}`), false)
    await remains.removeAll()
    assert.equal(left(`pods/${known}`), false)
  } finally {
    rmSync(run, { recursive: true, force: true })
  }
})

test('who serves the files of a sandbox is known by the sandbox that it names', () => {
  const argv = ['/usr/lib/qemu/virtiofsd', '-f', `--socket-path=${stray}/vm/files.sock`, '']
  assert.equal(isServerOf(argv, stray), true)
  assert.equal(isServerOf(argv, known), false)
  assert.equal(isServerOf(['cat', ...argv.slice(1)], stray), false)
  assert.equal(isServerOf([''], stray), false)
})
