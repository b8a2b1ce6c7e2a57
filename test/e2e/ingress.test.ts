// Ingress and Gateways for real: hosts and paths, TLS by name, HTTP/2, WebSockets, what has no backend, what filters change,
// and that nothing listens while there is nothing to serve. Needs root (a network namespace of its own). Run: node --test test/e2e/ingress.test.ts

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
import type { ResourceRef, StoredObject } from '../../src/api/meta.ts'
import { realClock } from '../../src/base/clock.ts'
import { silentLogger } from '../../src/base/log.ts'
import type { Client } from '../../src/client/client.ts'
import { run } from '../../src/host/exec.ts'
import { createGateways, type Gateways } from '../../src/host/gateway/gateways.ts'
import { createBackends } from '../../src/host/ingress/backends.ts'
import { createFrontDoor, type FrontDoor } from '../../src/host/ingress/front-door.ts'
import { createIngress, type Ingress, ingressController } from '../../src/host/ingress/ingress.ts'
import { enterRoom, fakeCluster } from './network-room.ts'

const cluster = fakeCluster()
const address = { host: '192.0.2.10', httpPort: 80, httpsPort: 443 }
/** Where the pretended Pod listens: an address that an endpoint may have. */
const podAddress = '192.0.2.20'
const statuses: StoredObject[] = []
let backend: Server
let mirror: Server
const mirrored: string[] = []
let ingress: Ingress
let gateways: Gateways
let door: FrontDoor
let dir: string

const client = {
  create: async ({ resource }: ResourceRef, object: Record<string, any>) =>
    cluster.put(resource, { ...object, metadata: { ...object.metadata, namespace: undefined } }),
  update: async ({ resource }: ResourceRef, object: StoredObject) => {
    statuses.push(object)
    cluster.put(resource, object as unknown as Record<string, any>)
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
  for (const end = Date.now() + 120_000; !(await check()); ) {
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
      if (request.url?.startsWith('/slow')) return
      const seen = { url: request.url, method: request.method, headers: request.headers, body: await text(request) }
      response.setHeader('connection', 'close, x-private')
      response.setHeader('x-private', 'of this connection')
      response.end(JSON.stringify(seen))
    })
    new WebSocketServer({ server: backend }).on('connection', (socket) =>
      socket.on('message', (message) => socket.send(`echo ${message}`)),
    )
    await new Promise<void>((resolve) => backend.listen(8080, podAddress, resolve))
    mirror = createServer(async (request, response) => {
      mirrored.push(`${request.method} ${request.url} ${await text(request)}`)
      response.end('nobody reads this')
    })
    // At every address: a port that no Gateway can have.
    await new Promise<void>((resolve) => mirror.listen(8081, resolve))
    for (const [name, port] of [
      ['web', 8080],
      ['mirror', 8081],
    ] as const) {
      cluster.put('services', { metadata: { name }, spec: { ports: [{ name: 'http', port: 80 }] } })
      cluster.put('endpointslices', {
        metadata: { name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
        addressType: 'IPv4',
        ports: [{ name: 'http', port }],
        endpoints: [{ addresses: [podAddress] }],
      })
    }
    const { cert, key } = await certificate('shop.example.com')
    const data = { 'tls.crt': Buffer.from(cert).toString('base64'), 'tls.key': Buffer.from(key).toString('base64') }
    cluster.put('secrets', { metadata: { name: 'shop' }, data })
    const fallback = await certificate('tandem')
    door = createFrontDoor({ host: address.host, certificate: fallback })
    const parts = { client, informers: cluster, address, door, backends: createBackends(cluster), log: silentLogger }
    ingress = createIngress(parts)
    gateways = createGateways({ ...parts, clock: realClock })
    await ingress.start()
    await gateways.start()
  })

  after(async () => {
    await ingress.stop()
    await gateways.stop()
    await door.close()
    for (const server of [backend, mirror]) {
      server.close()
      server.closeAllConnections()
    }
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

  const route = (name: string, rules: object[], more: object = {}) =>
    cluster.put('httproutes', {
      kind: 'HTTPRoute',
      metadata: { name, creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { parentRefs: [{ name: 'web' }], rules, ...more },
    })
  const web = [{ name: 'web', port: 80 }]
  const prefix = (value: string) => [{ path: { type: 'PathPrefix', value } }]
  const conditionsOf = (name: string) => {
    const status = statuses.findLast(({ metadata }) => metadata.name === name)?.status
    const all: { type: string; status: string }[] = status?.conditions ?? status?.parents?.[0]?.conditions ?? []
    return all.map(({ type, status }) => `${type} ${status}`)
  }

  test('a Gateway and its route are served, and say so', async () => {
    const listeners = [
      { name: 'http', port: 80, protocol: 'HTTP' },
      { name: 'https', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'shop' }] } },
      { name: 'taken', port: 8081, protocol: 'HTTP' },
    ]
    cluster.put('gateways', {
      kind: 'Gateway',
      metadata: { name: 'web' },
      spec: { gatewayClassName: 'tandem', listeners },
    })
    await until(() => conditionsOf('web').includes('Programmed True'))
    const requestHeaderModifier = { set: [{ name: 'X-Mine', value: 'set' }], remove: ['x-gone'] }
    const responseHeaderModifier = { add: [{ name: 'X-Answer', value: 'added' }] }
    route(
      'all',
      [
        {
          matches: prefix('/shop'),
          backendRefs: web,
          filters: [
            { type: 'RequestHeaderModifier', requestHeaderModifier },
            { type: 'ResponseHeaderModifier', responseHeaderModifier },
            {
              type: 'URLRewrite',
              urlRewrite: { hostname: 'inner', path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/a' } },
            },
            { type: 'RequestMirror', requestMirror: { backendRef: { name: 'mirror', port: 80 } } },
          ],
        },
        { matches: prefix('/slow'), backendRefs: web, timeouts: { request: '100ms' } },
        { matches: prefix('/moved'), filters: [{ type: 'RequestRedirect', requestRedirect: { scheme: 'https' } }] },
        { matches: prefix('/none'), backendRefs: [{ name: 'nobody', port: 80 }] },
      ],
      { hostnames: ['*.example.com'] },
    )
    await until(async () => (await ask('shop.example.com', '/none')).status === 500)
    const sent = await ask('shop.example.com', '/shop/b?c=1', { 'x-gone': '1', 'x-mine': '0' }, 'POST', 'hello')
    const seen = JSON.parse(sent.body)
    assert.deepEqual([sent.status, seen.url, seen.method, seen.body], [200, '/a/b?c=1', 'POST', 'hello'])
    assert.deepEqual([seen.headers['x-mine'], seen.headers['x-gone'], seen.headers.host], ['set', undefined, 'inner'])
    assert.equal(sent.headers['x-answer'], 'added')
    await until(() => mirrored.length > 0)
    assert.deepEqual(mirrored, ['POST /a/b?c=1 hello'])
    assert.equal((await ask('shop.example.com', '/slow')).status, 504)
    const moved = await ask('shop.example.com', '/moved/x?y')
    assert.deepEqual([moved.status, moved.headers.location], [302, 'https://shop.example.com/moved/x?y'])
    assert.equal((await ask('shop.example.com', '/none')).status, 500)
    assert.equal((await ask('shop.example.org', '/shop')).status, 404)
    await until(() => conditionsOf('web').includes('Programmed True'))
    await until(() => conditionsOf('all').includes('Accepted True'))
    assert.ok(conditionsOf('all').includes('ResolvedRefs False'), 'there is no Service nobody')
    assert.ok(conditionsOf('tandem').includes('Accepted True'))
  })

  test('TLS of a Gateway ends here, with HTTP/2 and WebSockets', async () => {
    const session = connectHttp2(`https://${address.host}`, {
      servername: 'shop.example.com',
      rejectUnauthorized: false,
    })
    const stream = session.request({ ':path': '/shop/two', ':authority': 'shop.example.com' })
    assert.equal(JSON.parse(await text(stream)).url, '/a/two')
    session.destroy()
    const socket = new WebSocket(`wss://${address.host}/shop`, {
      headers: { host: 'shop.example.com' },
      rejectUnauthorized: false,
    })
    const answer = new Promise((resolve, reject) => {
      socket.on('message', (message) => resolve(String(message))).on('error', reject)
    })
    socket.on('open', () => socket.send('hello'))
    assert.equal(await answer, 'echo hello')
    socket.close()
  })

  test('an Ingress is served beside a Gateway, where that has no route', async () => {
    shop({ rules: [{ ...rules[0]!, host: 'beside.example.org' }] })
    await until(async () => (await ask('beside.example.org', '/x')).status === 200)
    assert.equal((await ask('shop.example.com', '/shop')).status, 200)
    cluster.drop('ingresses', 'default/shop')
    await until(async () => (await ask('beside.example.org', '/x')).status === 404)
  })

  test('when the last Gateway goes, nothing listens any more', async () => {
    cluster.drop('gateways', 'default/web')
    await until(refused)
  })
}
