// A guest's memory goes to and from a QEMU that is pretended here: a socket, and answers to its commands.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Qmp } from './qmp.ts'
import { loadRam } from './ram-stream.ts'

test('a QEMU that has all hangs up before the file is seen to be at its end: the guest is loaded', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-ram-'))
  const length = 100_000
  let received = 0
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      received += chunk.length
      if (received === length) socket.destroy()
    })
    socket.once('close', () => hungUp())
  })
  let hungUp: () => void = () => {}
  const gone = new Promise<void>((resolve) => {
    hungUp = resolve
  })
  server.listen(join(directory, 'ram.sock'))
  await once(server, 'listening')
  const qmp: Qmp = {
    version: '7.2',
    closed: false,
    execute: async <T>(command: string) => ({ status: command === 'query-migrate' ? 'completed' : undefined }) as T,
    close() {},
  }
  try {
    // A pipe ends when its writer says so, not when it is empty.
    const file = join(directory, 'ram')
    execFileSync('mkfifo', [file])
    const loaded = loadRam(qmp, directory, file)
    const writer = await open(file, 'w')
    await writer.write(Buffer.alloc(length))
    await gone
    // Whoever would break off at the hang-up does so before this connection is answered.
    await once(createServer().listen(join(directory, 'later.sock')).unref(), 'listening')
    await writer.close()
    await loaded
    assert.equal(received, length)
  } finally {
    server.close()
    rmSync(directory, { recursive: true })
  }
})
