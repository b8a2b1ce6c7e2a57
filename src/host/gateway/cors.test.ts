// Answers of another origin.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Cors, preflight, shareAnswer } from './cors.ts'
import type { Asked } from './match.ts'

const asked = (method: string, headers: Record<string, string>): Asked => ({
  host: 'api.example.com',
  path: '/',
  query: new URLSearchParams(),
  method,
  headers,
})
const answered = (cors: Cors, origin: string, headers: Record<string, string> = {}) => {
  const said: Record<string, string | string[]> = { ...headers }
  shareAnswer(cors, asked('GET', { origin }), said)
  return said
}

test('origins: exact, by wildcard, with their ports', () => {
  const allowOrigins = ['https://shop.example.com', 'http://*.example.org:8080', 'https://*']
  const isShared = (origin: string, list = allowOrigins) =>
    answered({ allowOrigins: list }, origin)['access-control-allow-origin'] === origin
  assert.ok(isShared('https://shop.example.com'))
  assert.ok(isShared('https://shop.example.com:443', ['https://shop.example.com']))
  assert.ok(!isShared('http://shop.example.com'))
  assert.ok(isShared('http://a.b.example.org:8080'))
  assert.ok(!isShared('http://example.org:8080'))
  assert.ok(!isShared('http://a.example.org'))
  assert.ok(isShared('https://anything.test'))
  assert.ok(!isShared('null'))
})

test('an answer says what the gateway says, not what the backend said', () => {
  const cors = { allowOrigins: ['https://a.test'], allowCredentials: true, exposeHeaders: ['X-One', 'X-Two'] }
  const backend = { 'access-control-allow-origin': '*', vary: 'Accept', etag: '1' }
  assert.deepEqual(answered(cors, 'https://a.test', backend), {
    'access-control-allow-origin': 'https://a.test',
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': 'X-One, X-Two',
    vary: 'Accept, Origin',
    etag: '1',
  })
  assert.deepEqual(answered(cors, 'https://b.test', backend), { vary: 'Accept', etag: '1' })
  assert.deepEqual(answered({ allowOrigins: ['*'] }, 'https://b.test'), { 'access-control-allow-origin': '*' })
})

test('a preflight is answered here', () => {
  const question = (more: object = {}) =>
    asked('OPTIONS', { origin: 'https://a.test', 'access-control-request-method': 'PUT', ...more })
  const cors = { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['X-One'], maxAge: 60 }
  assert.deepEqual(preflight(cors, question()), {
    status: 204,
    message: '',
    headers: {
      'access-control-allow-origin': '*',
      'access-control-allow-methods': '*',
      'access-control-allow-headers': 'X-One',
      'access-control-max-age': '60',
    },
  })
  const strict = { ...cors, allowCredentials: true, allowHeaders: ['*'] }
  const said = preflight(strict, question({ 'access-control-request-headers': 'x-two' }))!.headers!
  assert.equal(said['access-control-allow-origin'], 'https://a.test')
  assert.equal(said['access-control-allow-methods'], 'PUT')
  assert.equal(said['access-control-allow-headers'], 'x-two')
  assert.equal(preflight(strict, question())!.headers!['access-control-allow-headers'], undefined)
  assert.deepEqual(preflight({ allowOrigins: [] }, question()), { status: 204, message: '' })
  assert.equal(preflight(cors, asked('OPTIONS', { origin: 'https://a.test' })), undefined)
})
