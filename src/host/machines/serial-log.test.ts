// The log of a serial console as kubectl logs reads it.

import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { LogOptions } from '../../api/streams.ts'
import { serialLog } from './serial-log.ts'

const directory = mkdtempSync(join(tmpdir(), 'tandem-serial-'))
after(() => rmSync(directory, { recursive: true }))
const path = join(directory, 'serial.log')

async function read(options: LogOptions, file = path): Promise<string> {
  let text = ''
  for await (const chunk of serialLog(file, 'db', options, new AbortController().signal, () => true))
    text += Buffer.from(chunk).toString()
  return text
}

test('all of it, its last lines, its first bytes', async () => {
  writeFileSync(path, 'one\ntwo\nthree\n')
  assert.equal(await read({}), 'one\ntwo\nthree\n')
  assert.equal(await read({ tailLines: 2 }), 'two\nthree\n')
  assert.equal(await read({ tailLines: 9 }), 'one\ntwo\nthree\n')
  assert.equal(await read({ tailLines: 0 }), '')
  assert.equal(await read({ limitBytes: 5 }), 'one\nt')
  writeFileSync(path, `${'x'.repeat(100_000)}\nlogin: `)
  assert.equal(await read({ tailLines: 1 }), 'login: ')
  assert.equal(await read({ stream: 'stderr' }), '')
})

test('what a console cannot tell is refused by name; no other file is read in its place', async () => {
  await assert.rejects(read({ previous: true }), /previous terminated container "compute" in pod "db" not found/)
  await assert.rejects(read({ timestamps: true }), /timestamps: the log of a serial console has no times/)
  await assert.rejects(read({}, join(directory, 'none')), /the machine has no log of a serial console/)
  symlinkSync('/etc/hostname', join(directory, 'link'))
  await assert.rejects(read({}, join(directory, 'link')), /ELOOP/)
})

test('a followed log goes on when it grew or was cut, and ends with its machine', async () => {
  writeFileSync(path, 'boot\n')
  let running = true
  const log = serialLog(path, 'db', { follow: true }, new AbortController().signal, () => running)
  const next = async () => Buffer.from((await log.next()).value ?? []).toString()
  assert.equal(await next(), 'boot\n')
  appendFileSync(path, 'up\n')
  assert.equal(await next(), 'up\n')
  running = false
  assert.equal((await log.next()).done, true)
})
