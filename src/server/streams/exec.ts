// exec and attach: the client's side over WebSocket channels or SPDY, the workload's side as an ExecSession.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { ExecOptions, ExecSession, ExitStatus } from '../../api/streams.ts'
import { type ChannelProtocol, decodeMessage, encodeMessage, finalWords } from '../../wire/channel-protocols.ts'
import { type ChannelMessage, channel, formatChannelMessage, parseChannelMessage } from '../../wire/channels.ts'
import { createSpdySession, type SpdyStream } from '../../wire/spdy.ts'
import { acceptSpdy } from './spdy-upgrade.ts'
import { acceptWebSocket, messages, send } from './websocket.ts'

const utf8 = new TextEncoder()
const normalClosure = 1000
/** A client that does not open the streams that it asked for in this time has gone (kubelet: 30 s). */
const streamCreationMs = 30_000

/** Over SPDY, newest first; before version 4 the error stream carries words. */
const spdyProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io']
const withStatus = new Set(spdyProtocols.slice(0, 2))

const failure = (error: unknown): ExitStatus => ({
  kind: 'failed',
  message: error instanceof Error ? error.message : String(error),
})

export async function execOverWebSocket(
  upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer },
  protocol: ChannelProtocol,
  start: () => Promise<ExecSession>,
): Promise<void> {
  // Before the 101: a pod that cannot be entered is an HTTP error, which kubectl shows as it is.
  const session = await start()
  const websocket = await acceptWebSocket(upgrade.request, upgrade.socket, upgrade.head, protocol.name)
  websocket.on('close', () => session.close())
  const tell = (name: 'stdout' | 'stderr' | 'error', data: Uint8Array) =>
    send(websocket, encodeMessage(protocol, formatChannelMessage({ channel: name, data })))
  // The client waits for a first message on stdout before it believes in the connection.
  await tell('stdout', new Uint8Array())
  void takeInput(websocket, session, protocol)
  await Promise.all([
    pump(session.stdout, (chunk) => tell('stdout', chunk)),
    pump(session.stderr, (chunk) => tell('stderr', chunk)),
  ])
  const exit = await session.exit.catch(failure)
  const words = finalWords(protocol, exit)
  if (words) await tell('error', utf8.encode(words))
  websocket.close(normalClosure)
}

async function takeInput(websocket: WebSocket, session: ExecSession, protocol: ChannelProtocol): Promise<void> {
  try {
    for await (const bytes of messages(websocket)) {
      let message: ChannelMessage
      try {
        message = parseChannelMessage(decodeMessage(protocol, bytes))
      } catch {
        continue
      }
      if (message.channel === 'stdin') await session.stdin?.write(message.data)
      else if (message.channel === 'resize') session.resize(message.width, message.height)
      else if (message.channel === 'close' && message.of === channel.stdin) session.stdin?.end()
    }
  } catch {
    // The command has closed its input: what the client still sends goes nowhere, as with a pipe.
  }
}

async function pump(
  source: AsyncIterable<Uint8Array> | undefined,
  take: (chunk: Uint8Array) => Promise<unknown>,
): Promise<void> {
  if (!source) return
  try {
    for await (const chunk of source) if (chunk.length > 0) await take(chunk)
  } catch {
    // The exit status tells what happened.
  }
}

/** The older way: one SPDY stream for each of error, stdin, stdout, stderr and resize. */
export async function execOverSpdy(
  upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer },
  options: ExecOptions,
  start: () => Promise<ExecSession>,
): Promise<void> {
  const session = await start()
  const protocol = acceptSpdy(upgrade.request, upgrade.socket, spdyProtocols)
  const wanted = ['error', ...(['stdin', 'stdout', 'stderr'] as const).filter((name) => options[name])]
  if (options.tty) wanted.push('resize')
  const streams = new Map<string, SpdyStream>()
  let complete = () => {}
  const opened = new Promise<void>((resolve) => {
    complete = resolve
  })
  const spdy = createSpdySession(upgrade.socket, {
    role: 'server',
    head: upgrade.head,
    onStream(stream) {
      const type = stream.headers.streamtype ?? ''
      stream.on('error', () => {})
      streams.set(type, stream)
      // The terminal's size may come late or never; nothing waits for it.
      if (type === 'resize') followSize(stream, session)
      if (wanted.every((name) => name === 'resize' || streams.has(name))) complete()
    },
  })
  void spdy.closed.then(() => session.close())
  const timer = setTimeout(() => spdy.destroy(), streamCreationMs)
  await Promise.race([opened, spdy.closed])
  clearTimeout(timer)
  const stdin = streams.get('stdin')
  if (stdin) void pump(stdin, async (chunk) => session.stdin?.write(chunk)).then(() => session.stdin?.end())
  await Promise.all([
    pump(session.stdout, (chunk) => write(streams.get('stdout'), chunk)),
    pump(session.stderr, (chunk) => write(streams.get('stderr'), chunk)),
  ])
  streams.get('stdout')?.end()
  streams.get('stderr')?.end()
  const exit = await session.exit.catch(failure)
  const words = finalWords({ status: withStatus.has(protocol) }, exit)
  if (words) await write(streams.get('error'), utf8.encode(words))
  streams.get('error')?.end()
  spdy.close()
}

function followSize(stream: SpdyStream, session: ExecSession): void {
  let text = ''
  stream.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString()).slice(-1024)
    const sizes = text.match(/\{[^{}]*\}/g)
    const last = sizes?.at(-1)
    if (!last) return
    text = ''
    try {
      const { Width, Height } = JSON.parse(last) as { Width: number; Height: number }
      session.resize(Number(Width), Number(Height))
    } catch {
      // Not a size.
    }
  })
}

function write(stream: SpdyStream | undefined, chunk: Uint8Array): Promise<void> {
  if (!stream || stream.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      stream.off('close', done)
      resolve()
    }
    stream.once('close', done)
    stream.write(chunk, done)
  })
}
