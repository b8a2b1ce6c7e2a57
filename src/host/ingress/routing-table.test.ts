// Hosts and paths as the Ingress API defines them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { findBackend, routingTable } from './routing-table.ts'

const to = (name: string) => ({ service: { name, port: { number: 80 } } })
const rule = (host: string | undefined, ...paths: [path: string, pathType: string, service: string][]) => ({
  ...(host && { host }),
  http: { paths: paths.map(([path, pathType, service]) => ({ path, pathType, backend: to(service) })) },
})
const ingress = (name: string, spec: object, at = '2026-01-01T00:00:00Z'): StoredObject =>
  ({ metadata: { name, namespace: 'default', creationTimestamp: at, uid: name }, spec }) as unknown as StoredObject
const asker = (...ingresses: StoredObject[]) => {
  const table = routingTable(ingresses)
  return (host: string, path: string) => findBackend(table, host, path)?.service
}

test('paths: exact, by elements, the longest first', () => {
  const ask = asker(
    ingress('a', {
      rules: [
        rule(
          'shop.example.com',
          ['/', 'Prefix', 'root'],
          ['/foo', 'Prefix', 'foo'],
          ['/foo/', 'Exact', 'exact'],
          ['/aaa/bb', 'Prefix', 'deep'],
          ['/any', 'ImplementationSpecific', 'any'],
        ),
      ],
    }),
  )
  const expected: [string, string][] = [
    ['/', 'root'],
    ['/foo', 'foo'],
    ['/foo/', 'exact'],
    ['/foo/x', 'foo'],
    ['/foobar', 'root'],
    ['/aaa/bb/cc', 'deep'],
    ['/aaa/bbb', 'root'],
    ['/any/thing', 'any'],
  ]
  for (const [path, service] of expected) assert.equal(ask('shop.example.com', path), service, path)
})

test('hosts: the name, one label of a wildcard, every other', () => {
  const ask = asker(
    ingress('a', {
      rules: [
        rule('shop.example.com', ['/', 'Prefix', 'shop']),
        rule('*.example.com', ['/', 'Prefix', 'wild']),
        rule(undefined, ['/x', 'Prefix', 'every']),
      ],
    }),
  )
  assert.equal(ask('SHOP.example.com', '/'), 'shop')
  assert.equal(ask('a.example.com', '/'), 'wild')
  assert.equal(ask('a.b.example.com', '/'), undefined)
  assert.equal(ask('example.com', '/x'), 'every')
})

test('the default backend takes what no rule names', () => {
  const own = ingress('a', { defaultBackend: to('own'), rules: [rule('a.example.com', ['/x', 'Exact', 'x'])] })
  const ask = asker(own, ingress('b', { rules: [rule('b.example.com', ['/x', 'Exact', 'x'])] }))
  assert.equal(ask('a.example.com', '/y'), 'own')
  assert.equal(ask('c.example.com', '/'), 'own')
  assert.equal(
    asker(ingress('b', { rules: [rule('b.example.com', ['/x', 'Exact', 'x'])] }))('b.example.com', '/y'),
    undefined,
  )
})

test('the older of two Ingresses keeps a path and a certificate', () => {
  const spec = (service: string) => ({
    rules: [rule('a.example.com', ['/', 'Prefix', service])],
    tls: [{ hosts: ['a.example.com'], secretName: service }],
  })
  const table = routingTable([ingress('new', spec('new'), '2026-02-01T00:00:00Z'), ingress('old', spec('old'))])
  assert.equal(findBackend(table, 'a.example.com', '/')?.service, 'old')
  assert.deepEqual(table.certificates.get('a.example.com'), { namespace: 'default', secret: 'old' })
})
