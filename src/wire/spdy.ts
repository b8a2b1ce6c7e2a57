// A SPDY/3.1 connection over any byte stream: many duplex streams, each with headers. What kubectl and container
// runtimes speak for exec, attach and port-forward. Both sides.
//
// Windows are neither counted nor announced: the other implementations of this corner of the world (moby/spdystream in
// containerd and client-go) ignore them, and one that waited for their updates would stop after 64 KiB. A stream that
// nobody reads stops the connection once `highWaterMark` bytes lie waiting, as it does there.

import { Duplex } from 'node:stream'
import { type Frame, formatFrame, frameParser, rstStatus } from './spdy-frames.ts'
import { type Headers, headerCompressor, headerDecompressor } from './spdy-headers.ts'

const highWaterMark = 512 * 1024
const maxDataFrame = 32 * 1024
const maxStreams = 1024

export interface SpdySession {
  /** Opens a stream and waits until the other side accepted it (data sent earlier may be dropped there). */
  open(headers: Headers): Promise<SpdyStream>
  /** Says goodbye and ends the transport after what was written. */
  close(): void
  /** Ends everything at once. */
  destroy(error?: Error): void
  /** Settles when the connection has ended. */
  readonly closed: Promise<void>
}

export interface SpdyStream extends Duplex {
  readonly id: number
  readonly headers: Headers
}

interface Link {
  send(frame: Exclude<Frame, { type: 'other' }>, done?: () => void): void
  resume(stream: Stream): void
  forget(stream: Stream): void
}

class Stream extends Duplex implements SpdyStream {
  readonly id: number
  readonly headers: Headers
  accepted: { resolve: () => void; reject: (error: Error) => void } | undefined
  private readonly link: Link
  private remoteReset = false
  private resetWhenRead: Error | undefined
  private sentFin = false
  private gotFin = false

  constructor(id: number, headers: Headers, link: Link) {
    // Not destroyed when one side ends: `for await` over a stream would otherwise cut the answer to who still writes.
    super({ highWaterMark, allowHalfOpen: true, autoDestroy: false })
    const closeWhenDone = () => {
      if (this.readableEnded && this.writableFinished) this.destroy()
    }
    this.once('end', closeWhenDone)
    this.once('finish', closeWhenDone)
    this.id = id
    this.headers = headers
    this.link = link
  }

  /** False when the reader is behind. */
  receive(data: Buffer, fin: boolean): boolean {
    const room = data.length === 0 || this.readableEnded || this.gotFin || this.push(Buffer.from(data))
    if (fin && !this.gotFin) {
      this.gotFin = true
      this.push(null)
    }
    return room
  }

  /** After the other side's end it only means that nobody there listens any more. What came before is read first. */
  reset(error: Error): void {
    this.remoteReset = true
    if (this.gotFin) this.end()
    else if (this.readableLength > 0) this.resetWhenRead = error
    else this.destroy(error)
  }

  override read(size?: number): any {
    const chunk = super.read(size)
    if (this.resetWhenRead && this.readableLength === 0) {
      const error = this.resetWhenRead
      process.nextTick(() => this.destroy(error))
    }
    return chunk
  }

  override _read(): void {
    this.link.resume(this)
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.remoteReset) {
      done()
      return
    }
    for (let at = 0; at < chunk.length; at += maxDataFrame) {
      const data = chunk.subarray(at, at + maxDataFrame)
      const last = at + maxDataFrame >= chunk.length
      this.link.send({ type: 'data', stream: this.id, fin: false, data }, last ? done : undefined)
    }
    if (chunk.length === 0) done()
  }

  override _final(done: () => void): void {
    this.sentFin = true
    if (this.remoteReset) done()
    else this.link.send({ type: 'data', stream: this.id, fin: true, data: Buffer.alloc(0) }, done)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.remoteReset && !(this.sentFin && this.gotFin))
      this.link.send({ type: 'rst-stream', stream: this.id, status: rstStatus.cancel })
    this.accepted?.reject(error ?? new Error('the stream was closed'))
    this.link.forget(this)
    done(error)
  }
}

export interface SpdyOptions {
  role: 'client' | 'server'
  /** A stream that the other side opened; it is accepted already, `destroy()` refuses it. */
  onStream?: (stream: SpdyStream) => void
  /** Bytes that came with the upgrade. */
  head?: Uint8Array
}

export function createSpdySession(transport: Duplex, options: SpdyOptions): SpdySession {
  const streams = new Map<number, Stream>()
  const waiting = new Set<Stream>()
  const compress = headerCompressor()
  const decompress = headerDecompressor()
  const parse = frameParser()
  let nextId = options.role === 'client' ? 1 : 2
  let lastRemote = 0
  let ended = false
  let settle = () => {}
  const closed = new Promise<void>((resolve) => {
    settle = resolve
  })

  const send: Link['send'] = (frame, done) => {
    if (ended || transport.destroyed || transport.writableEnded) done?.()
    else if (done) transport.write(formatFrame(frame), () => done())
    else transport.write(formatFrame(frame))
  }
  const link: Link = {
    send,
    resume(stream) {
      if (waiting.delete(stream) && waiting.size === 0) transport.resume()
    },
    forget(stream) {
      streams.delete(stream.id)
      link.resume(stream)
    },
  }

  const finish = (error?: Error) => {
    if (ended) return
    ended = true
    for (const stream of [...streams.values()]) {
      if (stream.accepted || error) stream.reset(error ?? new Error('the SPDY connection was closed'))
      else stream.receive(Buffer.alloc(0), true)
    }
    transport.destroy()
    settle()
  }

  const opened = (frame: Extract<Frame, { type: 'syn-stream' }>) => {
    const headers = decompress(frame.headers)
    const ours = options.role === 'client' ? 1 : 0
    if (frame.stream % 2 === ours || frame.stream <= lastRemote) throw new RangeError('SPDY stream id out of order')
    lastRemote = frame.stream
    if (!options.onStream || streams.size >= maxStreams)
      return send({ type: 'rst-stream', stream: frame.stream, status: rstStatus.refusedStream })
    const stream = new Stream(frame.stream, headers, link)
    // An error reaches whoever listens; a stream that nobody listens to must not end the program.
    stream.on('error', () => {})
    streams.set(stream.id, stream)
    send({ type: 'syn-reply', stream: stream.id, fin: false, headers: compress({}) })
    if (frame.fin) stream.receive(Buffer.alloc(0), true)
    options.onStream(stream)
  }

  const handle = (frame: Frame) => {
    switch (frame.type) {
      case 'syn-stream':
        return opened(frame)
      case 'syn-reply':
      case 'headers': {
        decompress(frame.headers)
        const stream = streams.get(frame.stream)
        stream?.accepted?.resolve()
        if (stream) stream.accepted = undefined
        if (frame.fin) stream?.receive(Buffer.alloc(0), true)
        return
      }
      case 'data': {
        const stream = streams.get(frame.stream)
        if (stream && !stream.receive(frame.data, frame.fin)) {
          waiting.add(stream)
          transport.pause()
        }
        return
      }
      case 'rst-stream':
        return streams.get(frame.stream)?.reset(new Error(`the other side reset the stream (${frame.status})`))
      case 'ping':
        // Ours are odd when we are the client; only the other side's are answered.
        if (frame.id % 2 === (options.role === 'client' ? 0 : 1)) send(frame)
        return
    }
  }

  const receive = (chunk: Uint8Array) => {
    try {
      for (const frame of parse(chunk)) handle(frame)
    } catch (error) {
      finish(error as Error)
    }
  }
  transport.on('data', receive)
  transport.on('end', () => finish())
  transport.on('close', () => finish())
  transport.on('error', (error: Error) => finish(error))
  if (options.head?.length) receive(options.head)

  return {
    closed,
    open(headers) {
      if (ended) return Promise.reject(new Error('the SPDY connection is closed'))
      const stream = new Stream(nextId, headers, link)
      nextId += 2
      stream.on('error', () => {})
      streams.set(stream.id, stream)
      return new Promise((resolve, reject) => {
        stream.accepted = { resolve: () => resolve(stream), reject }
        send({ type: 'syn-stream', stream: stream.id, fin: false, headers: compress(headers) })
      })
    },
    close() {
      send({ type: 'goaway', last: lastRemote, status: 0 })
      transport.end(() => finish())
    },
    destroy: finish,
  }
}
