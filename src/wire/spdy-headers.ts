// Header blocks of SPDY/3: names and values, compressed with one zlib context per direction and a dictionary that both
// sides know (draft-mbelshe-httpbis-spdy-00 §2.6.10).

import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'

/** The dictionary's words, each preceded there by its length in four bytes … */
const words =
  `options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match
if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range
referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get
status|200 OK|version HTTP/1.1 url public set-cookie keep-alive origin`
    .split(/\|/)
    .flatMap((part, index) => (index === 1 ? [part] : part.split(/\s+/)))

/** … and its tail, which is plain text. */
const tail = [
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505',
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden',
  '404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable',
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT',
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,',
  'publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.',
].join('')

export const dictionary: Buffer = Buffer.concat([
  ...words.flatMap((word) => [uint32(word.length), Buffer.from(word)]),
  Buffer.from(tail),
])

/** zlib's header (32 KiB window, dictionary follows) and the Adler-32 of the dictionary. */
const zlibHeader = Buffer.from('78bbe3c6a7c2', 'hex')

/** deflate looks back this far at most. */
const windowSize = 32 * 1024
const maxBlock = 64 * 1024

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Names are lower-case; a header with several values joins them with NUL. */
export type Headers = Record<string, string>

export function packHeaders(headers: Headers): Buffer {
  const parts = [uint32(Object.keys(headers).length)]
  for (const [name, value] of Object.entries(headers)) {
    for (const text of [name.toLowerCase(), value]) {
      const bytes = Buffer.from(text)
      parts.push(uint32(bytes.length), bytes)
    }
  }
  return Buffer.concat(parts)
}

export function unpackHeaders(block: Buffer): Headers {
  let at = 4
  const text = (): string => {
    const length = block.readUInt32BE(at)
    if (at + 4 + length > block.length) throw new RangeError('SPDY header is cut short')
    const value = block.toString('utf8', at + 4, at + 4 + length)
    at += 4 + length
    return value
  }
  const headers: Headers = Object.create(null)
  for (let left = block.readUInt32BE(0); left > 0; left--) {
    const name = text()
    headers[name] = text()
  }
  return headers
}

/**
 * Compresses header blocks in order. Each block ends on a byte boundary (sync flush), so no open zlib stream is needed:
 * the last 32 KiB of plain text are all that the next block may refer to.
 */
export function headerCompressor(): (headers: Headers) => Buffer {
  let history = dictionary
  let first = true
  return (headers) => {
    const plain = packHeaders(headers)
    const packed = deflateRawSync(plain, { dictionary: history, finishFlush: constants.Z_SYNC_FLUSH })
    history = Buffer.concat([history, plain]).subarray(-windowSize)
    if (!first) return packed
    first = false
    return Buffer.concat([zlibHeader, packed])
  }
}

/** The other direction. @throws when a block is not zlib data, or unpacks to more than 64 KiB. */
export function headerDecompressor(): (block: Uint8Array) => Headers {
  let history = dictionary
  let first = true
  return (block) => {
    const packed = first ? block.subarray(zlibHeader.length) : block
    first = false
    const plain = inflateRawSync(packed, {
      dictionary: history,
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: maxBlock,
    })
    history = Buffer.concat([history, plain]).subarray(-windowSize)
    return unpackHeaders(plain)
  }
}
