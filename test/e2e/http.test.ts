// The network edge on a loopback port: TLS, both HTTP versions, certificates, limits, watches, upgrades.
// node --test test/e2e/http.test.ts

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:http2'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { kinds } from '../../src/kinds/index.ts'
import { type ApiServer, createApiServer } from '../../src/server/apiserver.ts'
import { openPki, type Pki } from '../../src/server/auth/pki.ts'
import { type HttpServer, type StreamUpgrade, serveHttp } from '../../src/server/http.ts'
import { createMemoryStore } from '../../src/store/memory.ts'

let directory: string
let pki: Pki
let server: ApiServer
let http: HttpServer
let port: number
let taken: StreamUpgrade | undefined
/** Watches of the store that are open. */
let open = 0
let standing = 0

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'http-'))
  pki = await openPki({ directory })
  const store = createMemoryStore()
  const { watch } = store
  store.watch = (...args) => {
    open++
    const watching = watch(...args)
    return {
      close() {
        open--
        watching.close()
      },
    }
  }
  server = createApiServer({ store, kinds, pki, services: { cidr: '10.96.0.0/24' } })
  await server.start()
  standing = open
  const upgrade = async (stream: StreamUpgrade) => {
    taken = stream
    stream.socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\nhello')
  }
  http = await serveHttp({ server, pki, listen: [{ host: '127.0.0.1', port: 0 }], upgrade })
  port = http.addresses[0]!.port
})

after(async () => {
  server.stop()
  await http.close()
  await rm(directory, { recursive: true })
})

interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
}

const admin = () => ({ cert: pki.adminCert, key: pki.adminKey })

function ask(
  method: string,
  path: string,
  options: { body?: string | Buffer; headers?: object; identity?: object } = {},
): Promise<Answer> {
  const { body, headers = {}, identity = admin() } = options
  return new Promise((resolve, reject) => {
    const asking = request(
      { host: '127.0.0.1', port, method, path, ca: pki.caCert, agent: false, headers: { ...headers }, ...identity },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
        )
        response.on('error', reject)
      },
    )
    asking.on('error', reject)
    asking.end(body)
  })
}

const json = (answer: Answer) => JSON.parse(answer.body.toString())
const maps = '/api/v1/namespaces/default/configmaps'
const configMap = (name: string, data = {}) =>
  JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })

test('the administrator’s certificate creates and reads', async () => {
  const made = await ask('POST', maps, {
    body: configMap('a', { k: 'ü' }),
    headers: { 'content-type': 'application/json' },
  })
  assert.equal(made.status, 201)
  assert.equal(made.headers['content-type'], 'application/json')
  assert.equal(json(await ask('GET', `${maps}/a`)).data.k, 'ü')
})

test('no certificate is anonymous, a stranger’s certificate is nobody', async () => {
  assert.equal((await ask('GET', '/version', { identity: {} })).status, 200)
  const refused = await ask('GET', maps, { identity: {} })
  assert.equal(refused.status, 403)
  assert.match(json(refused).message, /User "system:anonymous" cannot list/)
  const other = await mkdtemp(join(tmpdir(), 'other-'))
  const stranger = await openPki({ directory: other })
  await rm(other, { recursive: true })
  const answer = await ask('GET', '/version', { identity: { cert: stranger.adminCert, key: stranger.adminKey } })
  assert.deepEqual([answer.status, json(answer).message], [401, 'Unauthorized'])
})

test('the server does not believe headers about who asks', async () => {
  const answer = await ask('GET', maps, {
    identity: {},
    headers: { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' },
  })
  assert.equal(answer.status, 403)
})

test('a body above the limit is a 413, announced or not', async () => {
  const large = Buffer.alloc(3 * 1024 * 1024 + 1, 0x20)
  const announced = await ask('POST', maps, { headers: { 'content-length': String(large.length) } }).catch(
    (error) => error,
  )
  assert.equal(announced.status ?? 413, 413)
  const chunked = await ask('POST', maps, { body: large, headers: { 'transfer-encoding': 'chunked' } })
  assert.equal(chunked.status, 413)
})

test('warnings are headers', async () => {
  const body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"w"},"fo\\"o":1}'
  const answer = await ask('POST', maps, { body, headers: { 'content-type': 'application/json' } })
  assert.equal(answer.headers.warning, '299 - "unknown field \\"fo\\\\\\"o\\""')
})

test('large answers are compressed for those who can', async () => {
  for (let i = 0; i < 3; i++)
    await ask('POST', maps, {
      body: configMap(`big${i}`, { k: 'x'.repeat(60_000) }),
      headers: { 'content-type': 'application/json' },
    })
  const answer = await ask('GET', maps, { headers: { 'accept-encoding': 'gzip' } })
  assert.equal(answer.headers['content-encoding'], 'gzip')
  assert.ok(JSON.parse(gunzipSync(answer.body).toString()).items.length >= 3)
  assert.equal((await ask('GET', maps)).headers['content-encoding'], undefined)
})

test('YAML answers and HEAD', async () => {
  assert.match(
    (await ask('GET', '/api/v1/namespaces/default', { headers: { accept: 'application/yaml' } })).body.toString(),
    /^apiVersion: v1\nkind: Namespace\n/,
  )
  const head = await ask('HEAD', '/version')
  assert.deepEqual([head.status, head.body.length], [200, 0])
})

test('HTTP/2 serves requests and a watch on one connection', async () => {
  const session = connect(`https://127.0.0.1:${port}`, { ca: pki.caCert, ...admin() })
  const watching = session.request({ ':path': `${maps}?watch=true&resourceVersion=${server.objects.store.revision()}` })
  watching.setEncoding('utf8')
  let text = ''
  watching.on('data', (chunk) => {
    text += chunk
  })
  const [headers] = await once(watching, 'response')
  assert.equal(headers[':status'], 200)
  const posting = session.request({ ':path': maps, ':method': 'POST', 'content-type': 'application/json' })
  posting.end(configMap('h2'))
  const [posted] = await once(posting, 'response')
  assert.equal(posted[':status'], 201)
  while (!text.includes('\n')) await once(watching, 'data')
  const event = JSON.parse(text.split('\n')[0]!)
  assert.deepEqual([event.type, event.object.metadata.name], ['ADDED', 'h2'])
  watching.close()
  session.close()
})

/** Watches of earlier tests, and of clients that left, are closed. */
async function settled(): Promise<void> {
  while (open > standing) await new Promise((resolve) => setImmediate(resolve))
}

test('a client that leaves ends its watch', { timeout: 120_000 }, async () => {
  await settled()
  const before = open
  const path = `${maps}?watch=true&resourceVersion=1`
  const asking = request({ host: '127.0.0.1', port, path, ca: pki.caCert, ...admin() })
  asking.on('error', () => {})
  asking.end()
  const [response] = await once(asking, 'response')
  response.on('error', () => {})
  await once(response, 'data')
  assert.equal(open, before + 1)
  asking.destroy()
  await settled()
  assert.equal(open, before)
})

test('an upgrade is authorized, then handed on; others are refused with a Status', async () => {
  const headers = { connection: 'Upgrade', upgrade: 'test' }
  const path = '/api/v1/namespaces/default/pods/p/exec?command=ls'
  const asking = request({ host: '127.0.0.1', port, path, headers, ca: pki.caCert, ...admin() })
  asking.end()
  const [response, , head] = await once(asking, 'upgrade')
  assert.equal(response.statusCode, 101)
  assert.equal(head.toString(), 'hello')
  assert.deepEqual(
    [taken?.info.subresource, taken?.query.get('command'), taken?.user.name],
    ['exec', 'ls', 'kubernetes-admin'],
  )
  const foreign = await ask('GET', path, { headers: { ...headers, origin: 'https://evil.example' } })
  assert.deepEqual([foreign.status, json(foreign).reason], [403, 'Forbidden'])
  const refused = await ask('GET', path, { identity: {}, headers })
  assert.deepEqual([refused.status, json(refused).reason], [403, 'Forbidden'])
})
