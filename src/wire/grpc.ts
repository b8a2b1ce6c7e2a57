// gRPC's client side on one HTTP/2 connection without TLS: unary calls and streams of answers
// (grpc/doc/PROTOCOL-HTTP2.md: a message is a flag, four bytes of length and its bytes; the status is in the trailers).

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import type { Duplex } from 'node:stream'

/** google.rpc.Code, those that somebody decides on. */
export const status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  RESOURCE_EXHAUSTED: 8,
  INTERNAL: 13,
  UNAVAILABLE: 14,
} as const

export class GrpcError extends Error {
  readonly code: number
  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'GrpcError'
    this.code = code
  }
}

export interface GrpcCall {
  /** '/runtime.v1.RuntimeService/Version' */
  path: string
  message: Uint8Array
  metadata?: Record<string, string>
}

export interface GrpcClient {
  /** @throws GrpcError */
  unary(call: GrpcCall & { deadlineMs: number; signal?: AbortSignal }): Promise<Uint8Array>
  /** `ended` is called once, unless the returned function ended the stream. */
  stream(
    call: GrpcCall,
    received: (message: Uint8Array) => void,
    ended: (error: GrpcError | undefined) => void,
  ): () => void
  /** Ends the connection; a later call makes a new one. */
  close(): void
}

const headSize = 5

/** `open` makes the connection: when the first call needs it, and again after it was lost. */
export function createGrpcClient(open: () => Duplex, messageLimit = 64 * 1024 * 1024): GrpcClient {
  let session: ClientHttp2Session | undefined

  function connected(): ClientHttp2Session {
    if (session && !session.closed && !session.destroyed) return session
    session = connect('http://localhost', { createConnection: open, maxSessionMemory: 100 })
    // Each call hears of it through its own stream.
    session.on('error', () => {})
    return session
  }

  function begin(call: GrpcCall, deadlineMs: number | undefined): ClientHttp2Stream {
    const stream = connected().request({
      ':method': 'POST',
      ':path': call.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(deadlineMs !== undefined && { 'grpc-timeout': `${Math.max(Math.ceil(deadlineMs), 1)}m` }),
      ...call.metadata,
    })
    stream.end(framed(call.message))
    return stream
  }

  return {
    unary(call) {
      return new Promise((resolve, reject) => {
        let answer: Uint8Array | undefined
        const stream = begin(call, call.deadlineMs)
        const timer = setTimeout(
          () => finish(new GrpcError(status.DEADLINE_EXCEEDED, `no answer within ${call.deadlineMs} ms`)),
          call.deadlineMs,
        )
        const cancel = () => finish(new GrpcError(status.CANCELLED, String(call.signal?.reason ?? 'cancelled')))
        call.signal?.addEventListener('abort', cancel, { once: true })
        const finish = follow(
          stream,
          messageLimit,
          (message) => {
            answer = message
          },
          (error) => {
            clearTimeout(timer)
            call.signal?.removeEventListener('abort', cancel)
            if (error) reject(error)
            else if (answer) resolve(answer)
            else reject(new GrpcError(status.INTERNAL, 'the server said OK and sent no message'))
          },
        )
      })
    },
    stream(call, received, ended) {
      let cancelled = false
      const finish = follow(
        begin(call, undefined),
        messageLimit,
        (message) => cancelled || received(message),
        (error) => cancelled || ended(error),
      )
      return () => {
        cancelled = true
        finish(undefined)
      }
    },
    close() {
      session?.destroy()
      session = undefined
    },
  }
}

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + message.length)
  frame[0] = 0
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, 5)
  return frame
}

/** Reads messages and the final status; returns how to end early, as if the status had been this one. */
function follow(
  stream: ClientHttp2Stream,
  messageLimit: number,
  received: (message: Uint8Array) => void,
  ended: (error: GrpcError | undefined) => void,
): (error: GrpcError | undefined) => void {
  let over = false
  let said: GrpcError | 'ok' | undefined
  let lost: Error | undefined

  function finish(error: GrpcError | undefined): void {
    if (over) return
    over = true
    if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
    ended(error)
  }

  function listen(headers: IncomingHttpHeaders): void {
    if (headers['grpc-status'] !== undefined) said = statusOf(headers)
    else if (headers[':status'] !== undefined && Number(headers[':status']) !== 200)
      said = new GrpcError(status.UNAVAILABLE, `the server answered with HTTP ${headers[':status']}`)
  }

  const read = createReader(messageLimit, received)
  stream.on('response', listen)
  stream.on('trailers', listen)
  stream.on('data', (chunk: Buffer) => {
    if (over) return
    try {
      read(chunk)
    } catch (error) {
      const unreadable = () => new GrpcError(status.INTERNAL, `a message cannot be read: ${error}`, { cause: error })
      finish(error instanceof GrpcError ? error : unreadable())
    }
  })
  stream.on('error', (error) => {
    lost = error
  })
  stream.on('close', () => {
    if (said === 'ok') finish(undefined)
    else finish(said ?? new GrpcError(status.UNAVAILABLE, reasonOf(lost), { cause: lost }))
  })
  return finish
}

/** A stream that could not begin has the connection's error as its cause. */
const reasonOf = (error: Error | undefined): string =>
  (error?.cause instanceof Error ? error.cause : error)?.message ?? 'the connection ended'

/** Cuts bytes into messages. They are put together only when a message is whole: a large one comes in thousands of pieces. */
function createReader(messageLimit: number, received: (message: Uint8Array) => void): (chunk: Buffer) => void {
  let waiting: Buffer[] = []
  let size = 0
  /** Of the message under way, once its head is there. */
  let length: number | undefined
  return (chunk) => {
    waiting.push(chunk)
    size += chunk.length
    while (size >= headSize + (length ?? 0)) {
      const bytes = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting)
      waiting = [bytes]
      length ??= lengthIn(bytes, messageLimit)
      const end = headSize + length
      if (size < end) return
      waiting = [bytes.subarray(end)]
      size -= end
      length = undefined
      received(bytes.subarray(headSize, end))
    }
  }
}

/** @throws GrpcError */
function lengthIn(head: Buffer, limit: number): number {
  const length = head.readUInt32BE(1)
  if (head[0] === 0 && length <= limit) return length
  throw new GrpcError(status.RESOURCE_EXHAUSTED, `a message of ${length} bytes or a compressed one is not taken`)
}

function statusOf(headers: IncomingHttpHeaders): GrpcError | 'ok' {
  const code = Number(headers['grpc-status'])
  if (code === status.OK) return 'ok'
  const text = String(headers['grpc-message'] ?? '')
  let message = text
  try {
    message = decodeURIComponent(text)
  } catch {
    // A message that is not percent-encoded is taken as it is.
  }
  return new GrpcError(Number.isInteger(code) ? code : status.UNKNOWN, message)
}
