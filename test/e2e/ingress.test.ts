// Ingress for real: hosts and paths, TLS by name, HTTP/2, WebSockets, what has no backend, and that nothing listens while
// there is no Ingress. Needs root (a network namespace of its own). Run: node --test test/e2e/ingress.test.ts

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { WebSocket, WebSocketServer } from 'ws'
import type { StoredObject } from '../../src/api/meta.ts'
import { silentLogger } from '../../src/base/log.ts'
import type { Client } from '../../src/client/client.ts'
import { run } from '../../src/host/exec.ts'
import { createIngress, type Ingress, ingressController } from '../../src/host/ingress/ingress.ts'
import { enterRoom, fakeCluster } from './network-room.ts'

const cluster = fakeCluster()
const address = { host: '192.0.2.10', httpPort: 80, httpsPort: 443 }
/** Where the pretended Pod listens: an address that an endpoint may have. */
const podAddress = '192.0.2.20'
const statuses: StoredObject[] = []
let backend: Server
let ingress: Ingress
let dir: string

const client = {
  create: async (_ref: unknown, object: Record<string, any>) =>
    cluster.put('ingressclasses', { ...object, metadata: { ...object.metadata, namespace: undefined } }),
  update: async (_ref: unknown, object: StoredObject) => {
    statuses.push(object)
    cluster.put('ingresses', object as unknown as Record<string, any>)
  },
} as unknown as Client

async function certificate(name: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)]
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`]
  await run([
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-keyout',
    key,
    '-out',
    cert,
    ...subject,
  ])
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
}

function ask(host: string, path: string, headers: Record<string, string> = {}, method = 'GET', body?: string) {
  return new Promise<{ status: number; body: string; headers: IncomingMessage['headers'] }>((resolve, reject) => {
    const asked = httpRequest(
      { host: address.host, port: address.httpPort, path, method, headers: { host, ...headers } },
      async (response) =>
        resolve({ status: response.statusCode!, body: await text(response), headers: response.headers }),
    )
    asked.on('error', reject)
    asked.end(body)
  })
}

const refused = () =>
  new Promise<boolean>((resolve) => {
    const socket = connectTcp(address.httpPort, address.host)
    socket.on('connect', () => resolve(false)).on('error', () => resolve(true))
    socket.on('connect', () => socket.destroy())
  })

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 5000; !(await check()); ) {
    if (Date.now() > end) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

const to = (name: string) => ({ service: { name, port: { name: 'http' } } })
const shop = (spec: object) =>
  cluster.put('ingresses', {
    kind: 'Ingress',
    metadata: { name: 'shop' },
    spec: { ingressClassName: 'tandem', ...spec },
  })
const rules = [
  {
    host: 'shop.example.com',
    http: {
      paths: [
        { path: '/', pathType: 'Prefix', backend: to('web') },
        { path: '/none', pathType: 'Prefix', backend: to('nobody') },
      ],
    },
  },
]

if (enterRoom(import.meta.filename)) {
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'tandem-ingress-'))
    for (const own of [address.host, podAddress]) await run(['ip', 'address', 'add', `${own}/32`, 'dev', 'lo'])
    backend = createServer(async (request, response) => {
      const seen = { url: request.url, method: request.method, headers: request.headers, body: await text(request) }
      response.setHeader('connection', 'close, x-private')
      response.setHeader('x-private', 'of this connection')
      response.end(JSON.stringify(seen))
    })
    new WebSocketServer({ server: backend }).on('connection', (socket) =>
      socket.on('message', (message) => socket.send(`echo ${message}`)),
    )
    await new Promise<void>((resolve) => backend.listen(8080, podAddress, resolve))
    cluster.put('services', { metadata: { name: 'web' }, spec: { ports: [{ name: 'http', port: 80 }] } })
    cluster.put('endpointslices', {
      metadata: { name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080 }],
      endpoints: [{ addresses: [podAddress] }],
    })
    const { cert, key } = await certificate('shop.example.com')
    const data = { 'tls.crt': Buffer.from(cert).toString('base64'), 'tls.key': Buffer.from(key).toString('base64') }
    cluster.put('secrets', { metadata: { name: 'shop' }, data })
    const fallback = await certificate('tandem')
    ingress = createIngress({ client, informers: cluster, address, certificate: fallback, log: silentLogger })
    await ingress.start()
  })

  after(async () => {
    await ingress.stop()
    backend.close()
    backend.closeAllConnections()
    rmSync(dir, { recursive: true, force: true })
  })

  test('nothing listens before there is an Ingress of ours', async () => {
    const spec = { ingressClassName: 'other', rules }
    cluster.put('ingressclasses', {
      metadata: { name: 'other', namespace: undefined },
      spec: { controller: 'example.com/x' },
    })
    cluster.put('ingresses', { kind: 'Ingress', metadata: { name: 'foreign' }, spec })
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(await refused(), true)
    assert.equal(ingressController, 'tandem.dev/ingress')
  })

  test('a host and a path lead to the Service; the backend learns who asked', async () => {
    shop({ rules, tls: [{ hosts: ['shop.example.com'], secretName: 'shop' }] })
    await until(async () => !(await refused()))
    const { status, body, headers } = await ask('shop.example.com', '/a%2Fb?c=1', { 'x-mine': 'yes' }, 'POST', 'hello')
    const seen = JSON.parse(body)
    assert.deepEqual([status, seen.url, seen.method, seen.body], [200, '/a%2Fb?c=1', 'POST', 'hello'])
    assert.equal(seen.headers['x-mine'], 'yes')
    assert.equal(seen.headers['x-forwarded-host'], 'shop.example.com')
    assert.equal(seen.headers['x-forwarded-proto'], 'http')
    assert.equal(headers['x-private'], undefined, 'headers of the connection stay with it')
    await until(() => statuses.some((object) => object.status?.loadBalancer?.ingress?.[0]?.ip === address.host))
  })

  test('no rule, no endpoint, nobody there', async () => {
    assert.equal((await ask('elsewhere.example.com', '/')).status, 404)
    assert.equal((await ask('shop.example.com', '/none/x')).status, 503)
  })

  test('TLS shows the certificate of the name, and another one for every other name', async () => {
    const shown = (servername: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = connectTls(
          { host: address.host, port: address.httpsPort, servername, rejectUnauthorized: false },
          () => {
            resolve(String(socket.getPeerCertificate().subject.CN))
            socket.destroy()
          },
        )
        socket.on('error', reject)
      })
    assert.equal(await shown('shop.example.com'), 'shop.example.com')
    assert.equal(await shown('elsewhere.example.com'), 'tandem')
  })

  test('HTTP/2 in front', async () => {
    const session = connectHttp2(`https://${address.host}`, {
      servername: 'shop.example.com',
      rejectUnauthorized: false,
    })
    const stream = session.request({ ':path': '/two', ':authority': 'shop.example.com' })
    assert.equal(JSON.parse(await text(stream)).url, '/two')
    session.destroy()
  })

  test('a WebSocket passes, with and without TLS; to nobody it is an answer', async () => {
    for (const scheme of ['ws', 'wss']) {
      const options = { headers: { host: 'shop.example.com' }, rejectUnauthorized: false }
      const socket = new WebSocket(`${scheme}://${address.host}/chat`, options)
      const answer = new Promise((resolve, reject) => {
        socket.on('message', (message) => resolve(String(message))).on('error', reject)
      })
      socket.on('open', () => socket.send('hello'))
      assert.equal(await answer, 'echo hello')
      socket.close()
    }
    const socket = new WebSocket(`ws://${address.host}/chat`, { headers: { host: 'elsewhere.example.com' } })
    const failure = await new Promise<Error>((resolve) => socket.on('error', resolve))
    assert.match(failure.message, /404/)
  })

  test('when the last Ingress goes, nothing listens any more', async () => {
    cluster.drop('ingresses', 'default/shop')
    await until(refused)
  })
}
