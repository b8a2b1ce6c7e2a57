// Frames of SPDY/3.1 as data, both ways (draft-mbelshe-httpbis-spdy-00 §2.2, §2.6). Header blocks stay compressed here.

export type Frame =
  | { type: 'data'; stream: number; fin: boolean; data: Buffer }
  | { type: 'syn-stream'; stream: number; fin: boolean; headers: Buffer }
  | { type: 'syn-reply'; stream: number; fin: boolean; headers: Buffer }
  | { type: 'headers'; stream: number; fin: boolean; headers: Buffer }
  | { type: 'rst-stream'; stream: number; status: number }
  | { type: 'ping'; id: number }
  | { type: 'goaway'; last: number; status: number }
  /** SETTINGS, WINDOW_UPDATE and whatever else: nobody has to react to it. */
  | { type: 'other'; control: number }

export const rstStatus = { protocolError: 1, invalidStream: 2, refusedStream: 3, cancel: 5, internalError: 6 } as const

const control = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goaway: 7, headers: 8 }
const version = 3
const finFlag = 1
/** More than any peer sends in one frame; the field itself would allow 16 MiB. */
const maxFrame = 1024 * 1024

function controlFrame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(8)
  head.writeUInt16BE(0x8000 | version, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt32BE(((flags << 24) | payload.length) >>> 0, 4)
  return Buffer.concat([head, payload])
}

function uint32s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  values.forEach((value, index) => {
    bytes.writeUInt32BE(value >>> 0, index * 4)
  })
  return bytes
}

export function formatFrame(frame: Exclude<Frame, { type: 'other' }>): Buffer {
  const flags = 'fin' in frame && frame.fin ? finFlag : 0
  switch (frame.type) {
    case 'data':
      return Buffer.concat([uint32s(frame.stream, (flags << 24) | frame.data.length), frame.data])
    case 'syn-stream':
      // Stream, associated stream, priority and slot.
      return controlFrame(
        control.synStream,
        flags,
        Buffer.concat([uint32s(frame.stream, 0), Buffer.alloc(2), frame.headers]),
      )
    case 'syn-reply':
      return controlFrame(control.synReply, flags, Buffer.concat([uint32s(frame.stream), frame.headers]))
    case 'headers':
      return controlFrame(control.headers, flags, Buffer.concat([uint32s(frame.stream), frame.headers]))
    case 'rst-stream':
      return controlFrame(control.rstStream, 0, uint32s(frame.stream, frame.status))
    case 'ping':
      return controlFrame(control.ping, 0, uint32s(frame.id))
    case 'goaway':
      return controlFrame(control.goaway, 0, uint32s(frame.last, frame.status))
  }
}

const streamId = (bytes: Buffer): number => bytes.readUInt32BE(0) & 0x7fffffff

function parseControl(type: number, fin: boolean, payload: Buffer): Frame {
  switch (type) {
    case control.synStream:
      return { type: 'syn-stream', stream: streamId(payload), fin, headers: payload.subarray(10) }
    case control.synReply:
      return { type: 'syn-reply', stream: streamId(payload), fin, headers: payload.subarray(4) }
    case control.headers:
      return { type: 'headers', stream: streamId(payload), fin, headers: payload.subarray(4) }
    case control.rstStream:
      return { type: 'rst-stream', stream: streamId(payload), status: payload.readUInt32BE(4) }
    case control.ping:
      return { type: 'ping', id: payload.readUInt32BE(0) }
    case control.goaway:
      return { type: 'goaway', last: streamId(payload), status: payload.readUInt32BE(4) }
    default:
      return { type: 'other', control: type }
  }
}

/** Cuts a byte stream into frames, however it arrives. @throws RangeError when it is not SPDY/3. */
export function frameParser(): (chunk: Uint8Array) => Frame[] {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    const incoming = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    rest = rest.length ? Buffer.concat([rest, incoming]) : incoming
    const frames: Frame[] = []
    while (rest.length >= 8) {
      const first = rest.readUInt32BE(0)
      const second = rest.readUInt32BE(4)
      const length = second & 0xffffff
      if (length > maxFrame)
        throw new RangeError(`SPDY frame of ${length} bytes is larger than the allowed ${maxFrame}`)
      if (rest.length < 8 + length) break
      const payload = rest.subarray(8, 8 + length)
      rest = rest.subarray(8 + length)
      const fin = ((second >>> 24) & finFlag) !== 0
      if (first >>> 31 === 0) frames.push({ type: 'data', stream: first, fin, data: payload })
      else if (((first >>> 16) & 0x7fff) !== version) throw new RangeError('this is not SPDY/3')
      else frames.push(parseControl(first & 0xffff, fin, payload))
    }
    return frames
  }
}
