// Commands by the guest agent: the guest here is this machine's own shell, behind an agent that speaks as qemu-ga does.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { test } from 'node:test'
import type { ExecOptions, ExecSession } from '../../api/streams.ts'
import { execInGuest } from './agent-exec.ts'

function createGuest(options: { hasShell?: boolean } = {}) {
  const commands: string[] = []
  const running = new Map<number, { child: ChildProcess; status: Record<string, unknown> }>()
  const directories = new Set<string>()
  const answers: Record<string, (args: any) => unknown> = {
    'guest-exec'({ path, arg, ...rest }) {
      if (options.hasShell === false && path === '/bin/sh') throw new Error('Failed to execute child process')
      const child = spawn(path, arg, { stdio: ['pipe', 'pipe', 'pipe'] })
      const out: Buffer[] = []
      child.stdout.on('data', (chunk) => out.push(chunk))
      child.stdin.on('error', () => {})
      child.stdin.end(Buffer.from(rest['input-data'] ?? '', 'base64'))
      const one = { child, status: { exited: false } as Record<string, unknown> }
      child.on('close', (code, signal) => {
        const output = rest['capture-output'] && out.length ? Buffer.concat(out).toString('base64') : undefined
        one.status = { exited: true, ...(signal ? { signal: 15 } : { exitcode: code }), 'out-data': output }
      })
      running.set(child.pid!, one)
      for (const word of arg as string[]) if (word.startsWith('/tmp/.tandem-exec-')) directories.add(word)
      return { pid: child.pid }
    },
    'guest-exec-status': ({ pid }) => running.get(pid)!.status,
    'guest-file-open': ({ path }) => openSync(path, 'r'),
    'guest-file-read'({ handle, count }) {
      const buffer = Buffer.alloc(count)
      const read = readSync(handle, buffer, 0, count, null)
      return { count: read, 'buf-b64': buffer.subarray(0, read).toString('base64'), eof: read === 0 }
    },
    'guest-file-close': ({ handle }) => closeSync(handle),
  }
  return {
    commands,
    directories,
    async execute<T>(command: string, args?: object): Promise<T> {
      commands.push(command)
      return answers[command]!(args) as T
    },
  }
}

const asked = (command: string[], more: Partial<ExecOptions> = {}): ExecOptions => ({
  command,
  stdin: false,
  stdout: true,
  stderr: true,
  tty: false,
  ...more,
})

async function text(stream: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream ?? []) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const through = (session: ExecSession) => Promise.all([text(session.stdout), text(session.stderr), session.exit])

async function gone(directories: Set<string>): Promise<void> {
  while ([...directories].some((path) => existsSync(path))) await new Promise((resolve) => setImmediate(resolve))
}

test('output, errors and the exit code of a command, and nothing left behind', async () => {
  const guest = createGuest()
  const words = ['sh', '-c', `echo "$1"; echo wrong >&2; exit 7`, 'sh', `it's "two" $words`]
  const [out, error, exit] = await through(await execInGuest(guest, asked(words)))
  assert.deepEqual([out, error, exit], [`it's "two" $words\n`, 'wrong\n', { kind: 'exited', code: 7 }])
  await gone(guest.directories)
  assert.equal(guest.directories.size, 1)
})

test('a command that is not there, and one that is killed', async () => {
  const guest = createGuest()
  const [, error, exit] = await through(await execInGuest(guest, asked(['no-such-program'])))
  assert.match(error, /no-such-program.*not found/)
  assert.deepEqual(exit, { kind: 'exited', code: 127 })
  const [, , killed] = await through(await execInGuest(guest, asked(['sh', '-c', 'kill -KILL $$'])))
  assert.deepEqual(killed, { kind: 'exited', code: 137 })
})

test('input flows in as it comes, and ends when the client says so', async () => {
  const guest = createGuest()
  const session = await execInGuest(guest, asked(['sh', '-c', 'read line; echo "got $line"; wc -c'], { stdin: true }))
  const output = session.stdout![Symbol.asyncIterator]()
  await session.stdin!.write(Buffer.from('hello\n'))
  assert.equal(Buffer.from((await output.next()).value!).toString(), 'got hello\n', 'before its end')
  const written = (async () => {
    for (let count = 0; count < 20; count++) await session.stdin!.write(Buffer.alloc(100_000, 'x'))
    session.stdin!.end()
  })()
  const [count, error, exit] = await Promise.all([
    (async () =>
      Buffer.from((await output.next()).value!)
        .toString()
        .trim())(),
    text(session.stderr),
    session.exit,
  ])
  await written
  assert.deepEqual([count, error, exit], ['2000000', '', { kind: 'exited', code: 0 }])
  await output.next()
  await gone(guest.directories)
})

test('a client that goes ends its command', async () => {
  const guest = createGuest()
  const session = await execInGuest(guest, asked(['sh', '-c', 'echo up; exec sleep 60'], { stderr: false }))
  const output = session.stdout![Symbol.asyncIterator]()
  await output.next()
  session.close()
  assert.deepEqual(await session.exit, { kind: 'exited', code: 129 })
  await output.return!()
  await gone(guest.directories)
})

test('a guest without a shell gets what the agent can', async () => {
  const guest = createGuest({ hasShell: false })
  const [out, , exit] = await through(await execInGuest(guest, asked(['echo', 'plain'])))
  assert.deepEqual([out, exit], ['plain\n', { kind: 'exited', code: 0 }])
  await assert.rejects(
    execInGuest(guest, asked(['cat'], { stdin: true })),
    /cannot run a command in the guest: Failed to execute child process/,
  )
})
