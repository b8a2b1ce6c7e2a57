// Where disks are uploaded (`virtctl image-upload`, curl, a form in a browser): the paths and answers of CDI's upload proxy
// (1.65, pkg/uploadproxy). The token says into which claim, so nobody is authenticated here.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { TakeUpload } from '../host/imports/uploads.ts'
import type { UploadTokens } from '../server/auth/upload-tokens.ts'
import { formFile } from './form-file.ts'

const paths = /^\/v1(?:alpha1|beta1)\/upload(-form)?(-async)?$/
const archivePaths = /^\/v1(?:alpha1|beta1)\/upload-archive$/
const bearer = /^Bearer\s+([A-Za-z0-9\-._~+/]+)$/i

const anybody = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET,HEAD,POST,PUT,PATCH,DELETE',
  'access-control-allow-headers': 'authorization,content-type',
}

type Incoming = Pick<IncomingMessage, 'method' | 'url' | 'headers'> & Readable
type Outgoing = Pick<ServerResponse, 'writeHead' | 'end' | 'headersSent'>

export interface UploadDoor {
  tokens: UploadTokens
  /** undefined as long as this node starts. */
  take(): TakeUpload | undefined
}

/** True when the path is one for uploads; the answer comes. */
export const uploadDoor =
  ({ tokens, take }: UploadDoor) =>
  (request: Incoming, response: Outgoing): boolean => {
    const path = (request.url ?? '').split('?')[0]!
    const known = paths.exec(path) ?? (archivePaths.exec(path) && [])
    if (!known) return false
    const say = (status: number, text = ''): void => {
      if (response.headersSent) return
      request.resume()
      response.writeHead(status, { ...anybody, 'content-type': 'text/plain; charset=utf-8' })
      response.end(request.method === 'HEAD' ? undefined : text)
    }
    answer(request, { isForm: Boolean(known[1]), async: Boolean(known[2]) }, tokens, take, say).catch((error: Error) =>
      say(500, `Saving stream failed: ${error.message}`),
    )
    return true
  }

async function answer(
  request: Incoming,
  { isForm, async }: { isForm: boolean; async: boolean },
  tokens: UploadTokens,
  take: UploadDoor['take'],
  say: (status: number, text?: string) => void,
): Promise<void> {
  if (request.method === 'OPTIONS') return say(204)
  const token = bearer.exec(String(request.headers.authorization ?? ''))?.[1]
  if (!token) return say(400)
  const right = await tokens.verify(token)
  if (!right) return say(401)
  const upload = take()
  if (!upload) return say(503, 'this node is still starting; try again in a moment')
  if (request.method === 'HEAD') {
    if (!async) return say(404)
    const { status, text } = await upload({ ...right, async })
    return say(status, text)
  }
  if (request.method !== 'POST') return say(404)
  // Who refuses an upload in its middle still answers it: the request must not be destroyed, its rest is read and dropped.
  const sent: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false })
  const body = isForm ? formFile(sent, String(request.headers['content-type'] ?? '')) : sent
  if (!body) return say(400, 'the form has no boundary')
  const { status, text } = await upload({ ...right, async, body })
  say(status, text)
}
