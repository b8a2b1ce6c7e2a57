// Asks the host's own name servers what is not a name of the cluster. One fresh socket and id for each question, so that
// an answer cannot be guessed; a bounded number of questions at once.

import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { readFileSync, statSync } from 'node:fs'
import { connect, isIP } from 'node:net'

const attemptMs = 2000
const atOnce = 512
const dnsPort = 53
/** A name server's text file is looked at again after this long. */
const rereadMs = 5000

export interface Upstream {
  /** The answer to the raw question. @throws Error when no name server answered. */
  ask(query: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer>
}

export interface UpstreamOptions {
  resolvConf?: string
  /** Addresses that must not be asked: our own. */
  exclude: string[]
  port?: number
  now?: () => number
}

/** Addresses of the `nameserver` lines (resolv.conf(5)). */
export function nameserversOf(text: string, exclude: string[]): string[] {
  const servers = text.split('\n').flatMap((line) => {
    const [keyword, address = ''] = line.trim().split(/\s+/)
    return keyword === 'nameserver' && isIP(address.split('%')[0]!) ? [address] : []
  })
  return [...new Set(servers)].filter((server) => !exclude.includes(server))
}

/** End of the question section: the answer must repeat these bytes (names may differ in case only). */
function questionEnd(packet: Buffer): number {
  let at = 12
  while (at < packet.length && packet[at] !== 0) {
    if ((packet[at]! & 0xc0) !== 0) return -1
    at += packet[at]! + 1
  }
  return at + 5
}

export function answersTo(query: Buffer, reply: Buffer): boolean {
  if (reply.length < 12 || query.readUInt16BE(0) !== reply.readUInt16BE(0) || (reply[2]! & 0x80) === 0) return false
  const end = questionEnd(query)
  // A server that understood nothing may answer without the question.
  if (reply.readUInt16BE(4) === 0) return (reply[3]! & 0x0f) !== 0
  if (end < 0 || questionEnd(reply) !== end) return false
  const text = (packet: Buffer) => packet.toString('latin1', 12, end).toLowerCase()
  return text(query) === text(reply)
}

function askUdp(query: Buffer, server: string, port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIP(server.split('%')[0]!) === 6 ? 'udp6' : 'udp4')
    const timer = setTimeout(() => finish(new Error(`${server} did not answer`)), attemptMs)
    const finish = (result: Buffer | Error) => {
      clearTimeout(timer)
      socket.close()
      if (result instanceof Error) reject(result)
      else resolve(result)
    }
    socket.on('error', finish)
    socket.on('message', (reply) => answersTo(query, reply) && finish(reply))
    socket.connect(port, server, () => socket.send(query, (error) => error && finish(error)))
  })
}

function askTcp(query: Buffer, server: string, port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    const socket = connect(port, server)
    const timer = setTimeout(() => finish(new Error(`${server} did not answer`)), attemptMs)
    let received = Buffer.alloc(0)
    const finish = (result: Buffer | Error) => {
      clearTimeout(timer)
      socket.destroy()
      if (result instanceof Error) reject(result)
      else resolve(result)
    }
    socket.on('error', finish)
    socket.on('close', () => finish(new Error(`${server} closed the connection`)))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      const size = received.length >= 2 ? received.readUInt16BE(0) : Number.POSITIVE_INFINITY
      if (received.length < size + 2) return
      const reply = received.subarray(2, size + 2)
      finish(answersTo(query, reply) ? reply : new Error(`${server} answered something else`))
    })
    socket.write(Buffer.concat([length, query]))
  })
}

export function createUpstream(options: UpstreamOptions): Upstream {
  const { resolvConf = '/etc/resolv.conf', exclude, port = dnsPort, now = Date.now } = options
  let running = 0
  let servers: string[] = []
  let readAt = Number.NEGATIVE_INFINITY
  let changedAt = -1

  function currentServers(): string[] {
    if (now() - readAt < rereadMs) return servers
    readAt = now()
    try {
      const { mtimeMs } = statSync(resolvConf)
      if (mtimeMs !== changedAt) servers = nameserversOf(readFileSync(resolvConf, 'utf8'), exclude)
      changedAt = mtimeMs
    } catch {
      servers = []
    }
    return servers
  }

  async function ask(query: Buffer, transport: 'udp' | 'tcp'): Promise<Buffer> {
    if (running >= atOnce) throw new Error('too many questions at once')
    const list = currentServers()
    if (list.length === 0) throw new Error(`no name server in ${resolvConf}`)
    running++
    try {
      const own = Buffer.from(query)
      own.writeUInt16BE(randomInt(0x10000), 0)
      const send = transport === 'udp' ? askUdp : askTcp
      let failure: unknown
      // Three servers at most, as the C library reads no more of the file.
      for (const server of list.slice(0, 3)) {
        try {
          const reply = Buffer.from(await send(own, server, port))
          query.copy(reply, 0, 0, 2)
          return reply
        } catch (error) {
          failure = error
        }
      }
      throw failure
    } finally {
      running--
    }
  }
  return { ask }
}
