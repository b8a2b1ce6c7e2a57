// Says 101 to a client that wants SPDY/3.1, with the newest sub-protocol that both know.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { ApiError } from '../../api/errors.ts'

const versionHeader = 'x-stream-protocol-version'

export const wantsSpdy = (request: IncomingMessage): boolean =>
  (request.headers.upgrade ?? '').toLowerCase() === 'spdy/3.1'

/** Answers which protocol was agreed on. @throws ApiError when none of the client's protocols is served. */
export function acceptSpdy(request: IncomingMessage, socket: Duplex, served: string[]): string {
  const offered = String(request.headers[versionHeader] ?? '')
    .split(',')
    .map((name) => name.trim())
  const protocol = served.find((name) => offered.includes(name))
  if (!protocol)
    throw new ApiError(
      'Forbidden',
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${served.join(' ')}]`,
    )
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
  )
  return protocol
}
