// One forwarded connection into a Pod's network namespace, through the container runtime: it also reaches what listens
// on 127.0.0.1 in there.

import { text } from 'node:stream/consumers'
import type { ByteChannel } from '../../api/streams.ts'
import { writeTo } from './exec-session.ts'
import { openRuntimeStream } from './runtime-stream.ts'

/** A port that nobody listens on is refused within this time; afterwards the connection is believed in. */
const refusalMs = 25

export async function forwardPort(url: string, port: number): Promise<ByteChannel> {
  const session = await openRuntimeStream(url, 'portforward.k8s.io')
  try {
    const headers = { port: `${port}`, requestid: '0' }
    const error = await session.open({ streamtype: 'error', ...headers })
    error.end()
    const data = await session.open({ streamtype: 'data', ...headers })
    const failure = text(error).catch(() => '')
    const refused = await Promise.race([failure, new Promise<string>((resolve) => setTimeout(resolve, refusalMs, ''))])
    if (refused) throw new Error(refused)
    data.once('close', () => session.close())
    return {
      readable: data,
      write: (chunk) => writeTo(data, chunk),
      end: () => data.end(),
      close: () => session.destroy(),
    }
  } catch (error) {
    session.destroy()
    throw error
  }
}
