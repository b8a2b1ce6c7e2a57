// JSON objects, one per line, over a unix socket: what QMP and the guest agent speak. Input is hostile: a line may not be
// longer than the limit, and what is not JSON ends the connection or is skipped, as the protocol above says.

import { createConnection, type Socket } from 'node:net'

export interface JsonSocket {
  send(message: object, prefix?: Uint8Array): void
  /** Ends the connection at once. */
  close(): void
  readonly closed: boolean
}

export interface JsonSocketOptions {
  path: string
  /** Longest line in bytes. */
  limit: number
  connectTimeoutMs?: number
  onMessage(message: Record<string, unknown>): void
  /** Called once, when the connection ended for whatever reason. */
  onClose(reason: string): void
  /** True: a line that is not a JSON object is skipped instead of ending the connection. */
  skipGarbage?: boolean
}

/** @throws Error when nobody listens there. */
export function openJsonSocket(options: JsonSocketOptions): Promise<JsonSocket> {
  const socket = createConnection({ path: options.path })
  let closed = false
  const end = (reason: string) => {
    socket.destroy()
    if (closed) return
    closed = true
    options.onClose(reason)
  }
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => fail(new Error(`no connection to ${options.path} in time`)),
      options.connectTimeoutMs ?? 5_000,
    )
    const fail = (error: Error) => {
      clearTimeout(timer)
      socket.destroy()
      reject(error)
    }
    socket.once('error', fail)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', fail)
      socket.on('error', (error) => end(error.message))
      socket.on('close', () => end('the connection was closed'))
      readLines(socket, options, end)
      resolve({
        send(message, prefix) {
          if (prefix) socket.write(prefix)
          socket.write(`${JSON.stringify(message)}\n`)
        },
        close: () => end('closed by Tandem'),
        get closed() {
          return closed
        },
      })
    })
  })
}

function readLines(socket: Socket, options: JsonSocketOptions, end: (reason: string) => void): void {
  let parts: Buffer[] = []
  let size = 0
  socket.on('data', (chunk: Buffer) => {
    let from = 0
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, at))
      from = at + 1
      const line = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
      parts = []
      size = 0
      if (!take(line)) return
    }
    const rest = chunk.subarray(from)
    size += rest.length
    if (size > options.limit) end(`a line is longer than ${options.limit} bytes`)
    else if (rest.length) parts.push(rest)
  })

  function take(line: Buffer): boolean {
    if (socket.destroyed) return false
    const text = line.toString('utf8').trim()
    if (!text) return true
    const message = line.length > options.limit ? undefined : parsed(text)
    if (message) options.onMessage(message)
    else if (!options.skipGarbage) end('what came is not JSON')
    return !socket.destroyed
  }
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as any) : undefined
  } catch {
    return undefined
  }
}
