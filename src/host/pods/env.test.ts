// Environment variables: expansion, references, services; and the downward API.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { containerEnv, type EnvSources, envReferences, expand } from './env.ts'
import { fieldValue } from './field-values.ts'
import { podOf } from './pod.fixture.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const node = { name: 'n1', addresses: ['192.0.2.1'], cpu: 4, memoryBytes: 1024 }
const sources = (more: Partial<EnvSources> = {}): EnvSources => ({
  configMaps: new Map(),
  secrets: new Map(),
  services: [],
  node,
  podIPs: ['10.0.0.9'],
  ...more,
})

const expansions: [string, string][] = [
  ['$(A)', '1'],
  ['x$(A)y$(B)', 'x1y2'],
  ['$(MISSING)', '$(MISSING)'],
  ['$$(A)', '$(A)'],
  ['$$$(A)', '$1'],
  ['$A $', '$A $'],
  ['$(A', '$(A'],
  ['$()', '$()'],
]
for (const [written, expected] of expansions)
  test(`expand ${written}`, () => {
    const known: Record<string, string> = { A: '1', B: '2' }
    assert.equal(
      expand(written, (name) => known[name]),
      expected,
    )
  })

test('references, optional ones, and the order of sources', () => {
  const container = {
    name: 'main',
    image: 'x',
    envFrom: [{ prefix: 'CM_', configMapRef: { name: 'cm' } }, { secretRef: { name: 'absent', optional: true } }],
    env: [
      { name: 'PLAIN', value: 'a$(CM_key)' },
      { name: 'SECRET', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
      { name: 'NOT', valueFrom: { configMapKeyRef: { name: 'cm', key: 'none', optional: true } } },
      { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      { name: 'MILLI', valueFrom: { resourceFieldRef: { resource: 'requests.cpu', divisor: '1m' } } },
      { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    ],
    resources: { requests: { cpu: '250m' } },
  }
  assert.deepEqual(envReferences(container), { configMaps: ['cm'], secrets: ['absent', 's'] })
  const env = containerEnv(
    podOf(),
    container,
    sources({
      configMaps: new Map([['cm', { data: { key: 'v' } }]]),
      secrets: new Map([
        ['s', { data: { k: base64('hidden') } }],
        ['absent', undefined],
      ]),
    }),
  )
  assert.deepEqual(Object.fromEntries(env), {
    CM_key: 'v',
    PLAIN: 'av',
    SECRET: 'hidden',
    CPU: '4',
    MILLI: '250',
    LABEL: 'web',
  })
})

test('what is missing is named', () => {
  const withEnv = (valueFrom: object) => ({ name: 'main', image: 'x', env: [{ name: 'A', valueFrom }] })
  const cases: [object, RegExp][] = [
    [{ configMapKeyRef: { name: 'cm', key: 'k' } }, /^configmap "cm" not found$/],
    [{ secretKeyRef: { name: 's', key: 'other' } }, /^couldn't find key other in Secret shop\/s$/],
    [{ secretKeyRef: { name: 's', key: 'toString' } }, /^couldn't find key toString/],
    [{ fieldRef: { fieldPath: 'spec.nothing' } }, /^unsupported fieldPath: spec.nothing$/],
  ]
  const given = sources({ secrets: new Map([['s', { data: { k: '' } }]]) })
  for (const [from, message] of cases)
    assert.throws(() => containerEnv(podOf(), withEnv(from), given), { name: 'ContainerProblem', message })
})

test('services become variables; none of another namespace, none without an address', () => {
  const service = (name: string, namespace: string, spec: object) => ({ metadata: { name, namespace }, spec }) as never
  const services = [
    service('my-db', 'shop', {
      clusterIP: '10.96.0.9',
      ports: [
        { name: 'sql', port: 5432 },
        { port: 53, protocol: 'UDP' },
      ],
    }),
    service('headless', 'shop', { clusterIP: 'None', ports: [{ port: 1 }] }),
    service('kubernetes', 'default', { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443 }] }),
    service('foreign', 'other', { clusterIP: '10.96.0.8', ports: [{ port: 1 }] }),
  ]
  const container = { name: 'main', image: 'x' }
  const env = Object.fromEntries(containerEnv(podOf(), container, sources({ services })))
  assert.equal(env.MY_DB_SERVICE_HOST, '10.96.0.9')
  assert.equal(env.MY_DB_SERVICE_PORT_SQL, '5432')
  assert.equal(env.MY_DB_PORT, 'tcp://10.96.0.9:5432')
  assert.equal(env.MY_DB_PORT_53_UDP_PROTO, 'udp')
  assert.equal(env.KUBERNETES_SERVICE_PORT_HTTPS, '443')
  assert.ok(!Object.keys(env).some((name) => /HEADLESS|FOREIGN/.test(name)))
  const without = containerEnv(podOf({ enableServiceLinks: false }), container, sources({ services }))
  assert.deepEqual(
    [...without.keys()].filter((name) => !name.startsWith('KUBERNETES_')),
    [],
  )
})

test('fields of the Pod', () => {
  const pod = podOf({ nodeName: 'n1', serviceAccountName: 'robot' }, { annotations: { b: '2', a: 'x"y' } })
  const value = (path: string) => fieldValue(pod, path, { node, podIPs: ['10.0.0.9', 'fd00::9'] })
  assert.equal(value('status.podIPs'), '10.0.0.9,fd00::9')
  assert.equal(value('status.hostIP'), '192.0.2.1')
  assert.equal(value('spec.serviceAccountName'), 'robot')
  assert.equal(value('metadata.annotations'), 'a="x\\"y"\nb="2"')
})
