// A running exec or attach on the container runtime, as the rest of the house sees it.

import type { ExecSession, ExitStatus } from '../../api/streams.ts'
import { parseExitReport } from '../../wire/channels.ts'
import type { SpdyStream } from '../../wire/spdy.ts'
import { openRuntimeStream } from './runtime-stream.ts'

export interface SessionStreams {
  stdin: boolean
  stdout: boolean
  stderr: boolean
  tty: boolean
}

/** Fits both directions: resolves when the other side has taken the chunk. */
export function writeTo(stream: SpdyStream, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, (error) => (error ? reject(error) : resolve()))
  })
}

export async function openSession(url: string, wanted: SessionStreams): Promise<ExecSession> {
  const session = await openRuntimeStream(url, 'v4.channel.k8s.io')
  const open = (streamtype: string, needed: boolean) => (needed ? session.open({ streamtype }) : undefined)
  try {
    // All at once, in the order that clients use; the runtime begins when it has them all.
    const [error, stdin, stdout, stderr, resize] = await Promise.all([
      session.open({ streamtype: 'error' }),
      open('stdin', wanted.stdin),
      open('stdout', wanted.stdout),
      open('stderr', wanted.stderr && !wanted.tty),
      open('resize', wanted.tty),
    ])
    error.end()
    const report = readAll(error)
    const ended = Promise.all([drained(stdout), drained(stderr)])
    return {
      stdin: stdin && { write: (chunk) => writeTo(stdin, chunk), end: () => stdin.end() },
      stdout: stdout && untilClosed(stdout),
      stderr: stderr && untilClosed(stderr),
      resize: (Width, Height) => resize?.write(JSON.stringify({ Width, Height })),
      exit: exitOf(report, ended).finally(() => session.close()),
      close: () => session.destroy(),
    }
  } catch (error) {
    session.destroy()
    throw error
  }
}

/** A command that could not begin leaves its output streams reset: for the reader they have just ended. */
async function* untilClosed(stream: SpdyStream): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk as Uint8Array
  } catch {
    // The exit status tells what happened.
  }
}

/**
 * Ends when the reader has had everything, or the stream is gone: perhaps already, since the runtime may end one stream
 * before it has accepted the next.
 */
const drained = (stream: SpdyStream | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (!stream || stream.destroyed || stream.readableEnded) return resolve()
    stream.once('end', resolve)
    stream.once('close', resolve)
  })

/** The runtime says how it ended and then resets the stream rather than ending it: what was read before counts. */
async function readAll(stream: SpdyStream): Promise<string> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await drained(stream)
  return Buffer.concat(chunks).toString()
}

async function exitOf(report: Promise<string>, ended: Promise<unknown>): Promise<ExitStatus> {
  const text = await report
  await ended
  return text ? parseExitReport(text) : { kind: 'failed', message: 'the connection to the container was lost' }
}
