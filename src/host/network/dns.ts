// Cluster DNS on its Service address, over UDP and TCP: names of the cluster from the informers' copies, all other names
// from the host's name servers.

import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import type { StoredObject } from '../../api/meta.ts'
import { objectKey } from '../../api/meta.ts'
import type { Logger } from '../../base/log.ts'
import type { InformerFactory } from '../../client/informer.ts'
import { type Answer, answer, type ClusterNames, type Zone } from './answer.ts'
import { askFor, failure, parseQuery, type Query, recordsOf, replyTo, type Transport } from './dns-message.ts'
import type { SliceEndpoint } from './service-ports.ts'
import { bySlicedService, indexSlices, serviceRef, sliceRef } from './services.ts'
import { createUpstream, type Upstream } from './upstream.ts'

export interface Dns {
  start(): Promise<void>
  /** The reply to one message, or undefined when there should be none. */
  handle(message: Buffer, transport: Transport): Promise<Buffer | undefined>
  stop(): Promise<void>
}

export interface DnsOptions {
  address: string
  podCidr: string
  serviceCidr: string
  clusterDomain: string
  informers: InformerFactory
  log: Logger
  port?: number
  upstream?: Upstream
}

const connectionsAtOnce = 256
const idleMs = 10_000
/** An ExternalName may lead to another one, but not in circles. */
const longestChain = 8
const byAddress = 'network.address'

function clusterNames(informers: InformerFactory): { names: ClusterNames; synced: Promise<unknown> } {
  const services = informers.informer(serviceRef)
  const slices = informers.informer(sliceRef)
  services.addIndex(byAddress, (service) => service.spec?.clusterIPs ?? [service.spec?.clusterIP ?? ''])
  slices.addIndex(byAddress, (slice) =>
    ((slice.endpoints ?? []) as SliceEndpoint[]).flatMap(({ addresses = [] }) => addresses),
  )
  indexSlices(slices)
  const names: ClusterNames = {
    service: (namespace, name) => services.get(`${namespace}/${name}`),
    slices: (namespace, name) => slices.byIndex(bySlicedService, `${namespace}/${name}`),
    hasServices: (namespace) => services.list(namespace).length > 0,
    servicesAt: (address) => services.byIndex(byAddress, address),
    slicesAt: (address) => slices.byIndex(byAddress, address).sort(byKey),
  }
  return { names, synced: Promise.all([services.synced(), slices.synced()]) }
}

const byKey = (a: StoredObject, b: StoredObject) => (objectKey(a) < objectKey(b) ? -1 : 1)

/** Clients that take the first address should not all take the same one. */
function shuffled(result: Answer): Answer {
  const order = result.answers.map((record) => ({ record, rank: record.type === 'CNAME' ? -1 : Math.random() }))
  return { ...result, answers: order.sort((a, b) => a.rank - b.rank).map(({ record }) => record) }
}

export function createDns(options: DnsOptions): Dns {
  const { address, podCidr, serviceCidr, clusterDomain, log, port = 53 } = options
  const zone: Zone = { domain: clusterDomain, podCidr, serviceCidr }
  const upstream = options.upstream ?? createUpstream({ exclude: [address] })
  let names: ClusterNames | undefined
  let udp: UdpSocket | undefined
  let tcp: Server | undefined
  const connections = new Set<Socket>()

  /** Adds what the end of an ExternalName resolves to. */
  async function withTarget(result: Answer, type: string, left = longestChain): Promise<Answer> {
    if (!result.follow || !names || left === 0) return result
    const own = answer({ name: result.follow, type }, zone, names)
    try {
      const next = own
        ? (await withTarget(own, type, left - 1)).answers
        : recordsOf(await upstream.ask(askFor(result.follow, type), 'udp'))
      return { ...result, answers: [...result.answers, ...next] }
    } catch {
      return result
    }
  }

  async function reply(query: Query, transport: Transport): Promise<Buffer> {
    const { question } = query
    const isOurs = question.class === 'IN' || question.class === 'ANY'
    // Before the first list has come, "no such name" would be a lie that clients remember.
    const own = isOurs && answer(question, zone, names ?? noNames)
    if (own && !names) return failure(query, 'SERVFAIL')
    if (own) return replyTo(query, await withTarget(shuffled(own), question.type), transport)
    try {
      return await upstream.ask(query.raw, transport)
    } catch (error) {
      log.debug('cannot resolve', { name: question.name, error })
      return failure(query, 'SERVFAIL')
    }
  }

  async function handle(message: Buffer, transport: Transport): Promise<Buffer | undefined> {
    const query = parseQuery(message)
    if (!query) return undefined
    return 'reply' in query ? query.reply : reply(query, transport)
  }

  function serveConnection(socket: Socket): void {
    connections.add(socket)
    let received = Buffer.alloc(0)
    socket.setTimeout(idleMs, () => socket.destroy())
    socket.on('close', () => connections.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('data', async (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
        const size = received.readUInt16BE(0)
        const message = received.subarray(2, size + 2)
        received = received.subarray(size + 2)
        // One question after the other: a client cannot make us remember more than it sends.
        socket.pause()
        const bytes = await handle(Buffer.from(message), 'tcp').catch(() => undefined)
        if (!bytes || socket.destroyed) return void socket.destroy()
        const length = Buffer.alloc(2)
        length.writeUInt16BE(bytes.length)
        socket.write(Buffer.concat([length, bytes]))
        socket.resume()
      }
    })
  }

  function listenUdp(): Promise<void> {
    const socket = createSocket('udp4')
    udp = socket
    socket.on('message', async (message, sender) => {
      const bytes = await handle(message, 'udp').catch(() => undefined)
      // A reply that cannot be delivered is the client's loss, which will ask again.
      if (bytes && udp === socket) socket.send(bytes, sender.port, sender.address, () => {})
    })
    return new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, address, () => {
        socket.off('error', reject)
        socket.on('error', (error) => log.warn('DNS socket', { error }))
        resolve()
      })
    })
  }

  function listenTcp(): Promise<void> {
    const server = createServer(serveConnection)
    server.maxConnections = connectionsAtOnce
    tcp = server
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, address, () => {
        server.off('error', reject)
        server.on('error', (error) => log.warn('DNS server', { error }))
        resolve()
      })
    })
  }

  return {
    handle,
    async start() {
      const known = clusterNames(options.informers)
      void known.synced.then(() => {
        names = known.names
      })
      await Promise.all([listenUdp(), listenTcp()]).catch((error: NodeJS.ErrnoException) => {
        const hint = error.code === 'EADDRINUSE' ? ': another DNS server listens on every address of this machine' : ''
        throw new Error(`cannot serve cluster DNS at ${address}:${port}: ${error.message}${hint}`, { cause: error })
      })
    },
    async stop() {
      const [socket, server] = [udp, tcp]
      udp = tcp = undefined
      for (const connection of connections) connection.destroy()
      if (socket) await new Promise<void>((resolve) => socket.close(() => resolve()))
      if (server?.listening) await new Promise<void>((resolve) => void server.close(() => resolve()))
    },
  }
}

const noNames: ClusterNames = {
  service: () => undefined,
  slices: () => [],
  hasServices: () => false,
  servicesAt: () => [],
  slicesAt: () => [],
}
