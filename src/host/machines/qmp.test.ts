// The QMP client and the agent client against a pretended, and against a hostile, other side.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { openAgent, readGuest } from './agent.ts'
import { agentOf, newMachine } from './machine.ts'
import { machineFiles } from './plan.ts'
import { openQmp, QmpError } from './qmp.ts'

const greeting = '{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": []}}\r\n'

/** A server on a unix socket; `onLine` gets each JSON line and the socket. */
async function served(
  onConnect: (socket: Socket) => void,
  onLine: (message: any, socket: Socket) => void,
  body: (path: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-qmp-'))
  const path = join(directory, 's.sock')
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    let rest = ''
    socket.on('data', (chunk) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop()!
      for (const line of lines) if (line.trim()) onLine(JSON.parse(line), socket)
    })
    onConnect(socket)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  try {
    await body(path)
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
    rmSync(directory, { recursive: true })
  }
}

const polite = (message: any, socket: Socket) => {
  if (message.execute === 'no')
    socket.write(`{"error": {"class": "CommandNotFound", "desc": "no"}, "id": ${message.id}}\n`)
  else if (message.execute !== 'silence')
    socket.write(`{"return": {"of": "${message.execute}"}, "id": ${message.id}}\n`)
}
const nothing = { onEvent: () => {}, onClose: () => {} }

test('greeting, capabilities, commands in any order, errors, deadlines, events', async () => {
  const events: string[] = []
  let peer: Socket | undefined
  await served(
    (socket) => {
      peer = socket
      socket.write(greeting.slice(0, 20))
      setImmediate(() => socket.write(greeting.slice(20)))
    },
    polite,
    async (path) => {
      const closed = Promise.withResolvers<string>()
      const qmp = await openQmp(path, { onEvent: ({ event }) => events.push(event), onClose: closed.resolve })
      assert.equal(qmp.version, '7.2.22')
      assert.deepEqual(await Promise.all([qmp.execute('a'), qmp.execute('b')]), [{ of: 'a' }, { of: 'b' }])
      await assert.rejects(qmp.execute('no'), (error) => error instanceof QmpError && error.kind === 'CommandNotFound')
      await assert.rejects(qmp.execute('silence', {}, 1), /no answer to silence/)
      peer!.write('{"event": "SHUTDOWN", "data": {}}\n')
      await qmp.execute('after')
      assert.deepEqual(events, ['SHUTDOWN'])
      const waiting = qmp.execute('silence')
      peer!.destroy()
      await assert.rejects(waiting, /while waiting for silence/)
      await closed.promise
      await assert.rejects(qmp.execute('late'), /not connected/)
    },
  )
})

test('a line without end, and what is not JSON, end the connection', async () => {
  for (const bytes of [Buffer.alloc(5 * 1024 * 1024, 'x'), Buffer.from('nonsense\n'), Buffer.from('[1]\n')])
    await served(
      (socket) => socket.write(bytes),
      polite,
      async (path) => {
        await assert.rejects(openQmp(path, nothing), /longer than|not JSON/)
      },
    )
})

test('a server that never greets is given up', async () => {
  await served(
    () => {},
    polite,
    async (path) => {
      await assert.rejects(openQmp(path, nothing, 20), /no greeting/)
    },
  )
})

test('the agent’s late answers to somebody else are skipped, and what it says is bounded', async () => {
  const answers: Record<string, unknown> = {
    'guest-info': { version: 7 },
    'guest-get-osinfo': { id: 'debian', name: 'N'.repeat(10_000), 'kernel-release': '6.1', machine: { evil: true } },
    'guest-get-host-name': { 'host-name': 'db' },
    'guest-network-get-interfaces': [
      { name: 'lo', 'ip-addresses': [{ 'ip-address': '127.0.0.1' }] },
      { name: 'eth0', 'hardware-address': '02:00:00:00:00:01', 'ip-addresses': [{ 'ip-address': '10.0.2.2' }, null] },
      ...Array.from({ length: 1000 }, () => ({ name: 'x' })),
    ],
  }
  await served(
    (socket) => socket.write('garbage\n{"return": 1}\n{"return": {}}\n'),
    (message, socket) => {
      const answer = message.execute === 'guest-sync' ? message.arguments.id : answers[message.execute]
      socket.write(`${JSON.stringify({ return: answer })}\n`)
    },
    async (path) => {
      const agent = await openAgent(path, 1_000)
      const guest = await readGuest(agent)
      assert.equal(guest.os.name!.length, 256)
      assert.deepEqual(Object.keys(guest.os), ['id', 'kernelRelease', 'name'])
      assert.equal(guest.interfaces.length, 64)
      assert.deepEqual(guest.interfaces[1], { name: 'eth0', mac: '02:00:00:00:00:01', addresses: ['10.0.2.2'] })
      agent.close()
    },
  )
})

test('an agent that answers with an endless line, or not at all, is let go', async () => {
  await served(
    () => {},
    (_, socket) => socket.write(Buffer.alloc(2 * 1024 * 1024, 'x')),
    async (path) => await assert.rejects(openAgent(path, 1_000), /longer than/),
  )
  await served(
    () => {},
    () => {},
    async (path) => await assert.rejects(openAgent(path, 20), /guest agent/),
  )
})

test('who asks a guest agent while another is connecting to it shares that connection', async () => {
  let connections = 0
  const answer = (message: any, socket: Socket) => socket.write(`{"return": ${message.arguments?.id ?? '{}'}}\n`)
  await served(
    () => connections++,
    answer,
    async (path) => {
      symlinkSync(path, join(dirname(path), machineFiles.agent))
      const machine = newMachine(dirname(path), { uid: 'u', namespace: 'default', name: 'db' })
      machine.agentOpen = true
      const [first, second] = await Promise.all([agentOf(machine), agentOf(machine)])
      assert.equal(first, second)
      assert.equal(await agentOf(machine), first)
      assert.equal(connections, 1)
      first.close()
      assert.notEqual(await agentOf(machine), first)
      assert.equal(connections, 2)
      machine.agent?.close()
    },
  )
})
