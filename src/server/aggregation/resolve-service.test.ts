// Where a Service is answered, and how a failed connection is told.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import type { Lookup } from '../admission/lookup.ts'
import { resolveService } from './resolve-service.ts'
import { tlsProblem } from './tls-problem.ts'

const slice = (service: string, more: object): StoredObject =>
  ({
    metadata: { labels: { 'kubernetes.io/service-name': service } },
    addressType: 'IPv4',
    ports: [{ name: 'https', port: 8443 }],
    ...more,
  }) as unknown as StoredObject

const services: Record<string, object> = {
  web: { spec: { ports: [{ name: 'https', port: 443 }] } },
  empty: { spec: { ports: [{ name: 'https', port: 443 }] } },
  away: { spec: { type: 'ExternalName', externalName: 'api.example.com' } },
}
const lookup: Lookup = {
  get: (_group, _plural, _namespace, name) => services[name] as StoredObject | undefined,
  list: () => [
    slice('web', { endpoints: [{ addresses: ['10.42.0.5'], conditions: { ready: false } }] }),
    slice('web', { endpoints: [{ addresses: ['10.42.0.6'] }] }),
    slice('other', { endpoints: [{ addresses: ['10.42.0.7'] }] }),
    slice('empty', { ports: [{ name: 'http', port: 80 }], endpoints: [{ addresses: ['10.42.0.8'] }] }),
  ],
  serves: () => true,
}

test('a ready endpoint of the port, or the name that stands for the Service', () => {
  assert.deepEqual(resolveService(lookup, 'default', 'web', 443), { host: '10.42.0.6', port: 8443 })
  assert.deepEqual(resolveService(lookup, 'default', 'away', 8443), { host: 'api.example.com', port: 8443 })
  const refused = (name: string, port: number) => () => resolveService(lookup, 'default', name, port)
  assert.throws(refused('none', 443), /service "none" not found/)
  assert.throws(refused('web', 80), /no service port 80 found for service "web"/)
  assert.throws(refused('empty', 443), /no endpoints available for service "empty"/)
})

test('failures are told in the words that people know', () => {
  const failure = (code: string, more: object = {}) =>
    tlsProblem(Object.assign(new Error('raw text'), { code, ...more }))
  assert.equal(
    failure('DEPTH_ZERO_SELF_SIGNED_CERT'),
    'tls: failed to verify certificate: x509: certificate signed by unknown authority',
  )
  assert.equal(
    failure('ECONNREFUSED', { address: '10.42.0.5', port: 443 }),
    'dial tcp 10.42.0.5:443: connect: connection refused',
  )
  assert.equal(failure('ENOTFOUND', { host: 'x' }), 'dial tcp: lookup x: no such host')
  assert.equal(failure('EPIPE'), 'raw text')
})
