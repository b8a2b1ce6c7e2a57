// A document with its hash as an answer: not sent to who has it, and kept for ever by who asked for this very one.

import { createHash } from 'node:crypto'
import type { ApiRequest, ApiResponse } from '../../api/exchange.ts'

export interface HashedText {
  text: string
  hash: string
}

export const hashed = (text: string): HashedText => ({
  text,
  hash: createHash('sha512').update(text).digest('hex').toUpperCase(),
})

export function documentAnswer(request: ApiRequest, { text, hash }: HashedText, forEver: boolean): ApiResponse {
  const etag = `"${hash}"`
  const headers = {
    'content-type': 'application/json',
    etag,
    vary: 'Accept',
    'cache-control': forEver ? 'public, immutable, max-age=31536000' : 'no-cache, private',
  }
  if (request.headers['if-none-match'] === etag) return { status: 304, headers, text: '' }
  return { status: 200, headers, text }
}

/** One of a group version: its hash in the question says that its asker knows which. */
export const versionAnswer = (request: ApiRequest, document: HashedText): ApiResponse =>
  documentAnswer(request, document, request.query.get('hash') === document.hash)
