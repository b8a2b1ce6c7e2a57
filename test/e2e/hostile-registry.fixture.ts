// A registry as an attacker runs it, on the loopback address: serves what it is told to, asks for a password, and notes
// who sent which credentials.

import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface HostileLayer {
  mediaType?: string
  bytes: Buffer
  /** The tar in them, where it is to be right. */
  tar?: Buffer
  /** Of the descriptor, where it is to lie. */
  digest?: string
  size?: number
  urls?: string[]
  /** What is sent in the place of the bytes. */
  sent?: Buffer
  /** Where the blob is said to be. */
  movedTo?: string
}

export interface HostileRegistry {
  /** 127.0.0.1:port */
  address: string
  /** Its name in the registry. */
  publish(name: string, layer: HostileLayer, manifest?: object): string
  close(): void
}

export interface Stranger {
  url: string
  /** Each request's path and the credentials that came with it. */
  seen: { path: string; authorization: string | undefined }[]
  close(): void
}

export const registryUser = { name: 'puller', password: 'only-for-the-registry' }
const authorization = `Basic ${Buffer.from(`${registryUser.name}:${registryUser.password}`).toString('base64')}`

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const manifestType = 'application/vnd.oci.image.manifest.v1+json'

type Answer = { type: string; bytes: Buffer } | { movedTo: string }

async function listen(address: string, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, address, resolve)
  })
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { address: `${address}:${(server.address() as AddressInfo).port}`, close }
}

export async function startHostileRegistry(): Promise<HostileRegistry> {
  const answers = new Map<string, Answer>()
  const { address, close } = await listen('127.0.0.1', (request, response) => {
    if (request.headers.authorization !== authorization)
      return void response.writeHead(401, { 'www-authenticate': 'Basic realm="test"' }).end()
    if (request.url === '/v2/') return void response.end('{}')
    const found = answers.get(request.url!.replace(/\?.*$/, ''))
    if (!found) return void response.writeHead(404).end('{}')
    if ('movedTo' in found) return void response.writeHead(307, { location: found.movedTo }).end()
    const { type, bytes } = found
    response.writeHead(200, {
      'content-type': type,
      'content-length': bytes.length,
      'docker-content-digest': sha256(bytes),
    })
    response.end(request.method === 'HEAD' ? undefined : bytes)
  })
  const blob = (name: string, digest: string, answer: Answer) => answers.set(`/v2/${name}/blobs/${digest}`, answer)
  return {
    address,
    close,
    publish(name, layer, changes = {}) {
      const { mediaType = `application/vnd.oci.image.layer.v1.tar`, bytes, urls, movedTo } = layer
      const digest = layer.digest ?? sha256(bytes)
      const config = Buffer.from(
        JSON.stringify({
          architecture: 'amd64',
          os: 'linux',
          config: { Cmd: ['sh'] },
          rootfs: { type: 'layers', diff_ids: [sha256(layer.tar ?? bytes)] },
        }),
      )
      const manifest = Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: manifestType,
          config: {
            mediaType: 'application/vnd.oci.image.config.v1+json',
            digest: sha256(config),
            size: config.length,
          },
          layers: [{ mediaType, digest, size: layer.size ?? bytes.length, ...(urls && { urls }) }],
          ...changes,
        }),
      )
      blob(name, sha256(config), { type: 'application/octet-stream', bytes: config })
      blob(name, digest, movedTo ? { movedTo } : { type: 'application/octet-stream', bytes: layer.sent ?? bytes })
      for (const reference of ['1', sha256(manifest)])
        answers.set(`/v2/${name}/manifests/${reference}`, { type: manifestType, bytes: manifest })
      return `${address}/${name}:1`
    },
  }
}

/** Another host: what a registry would like to have credentials sent to. */
export async function startStranger(bytes: Buffer): Promise<Stranger> {
  const seen: Stranger['seen'] = []
  const { address, close } = await listen('127.0.0.2', (request, response) => {
    seen.push({ path: request.url ?? '', authorization: request.headers.authorization })
    response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
  })
  return { url: `http://${address}`, seen, close }
}
