// Another server behind an APIService, reached by a function instead of a connection.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patchType, startServer, userNamed } from '../server.fixture.ts'
import { type Asked, createReach, type ReachRemote } from './forward.ts'
import type { Remote } from './remotes.ts'

const services = '/apis/apiregistration.k8s.io/v1/apiservices'
const wardle = `${services}/v1alpha1.wardle.example.com`

const apiService = {
  apiVersion: 'apiregistration.k8s.io/v1',
  kind: 'APIService',
  metadata: { name: 'v1alpha1.wardle.example.com' },
  spec: {
    group: 'wardle.example.com',
    version: 'v1alpha1',
    groupPriorityMinimum: 2000,
    versionPriority: 200,
    service: { namespace: 'default', name: 'api', port: 7443 },
    caBundle: Buffer.from('a certificate').toString('base64'),
  },
}

const resources = [
  { name: 'flunders', singularName: 'flunder', namespaced: true, kind: 'Flunder', verbs: ['get', 'list'] },
  { name: 'flunders/status', singularName: '', namespaced: true, kind: 'Flunder', verbs: ['get'] },
]

const openapi: Record<string, string> = {
  '/openapi/v3/apis/wardle.example.com/v1alpha1': '{"openapi":"3.0.0","paths":{}}',
  '/openapi/v2': JSON.stringify({
    swagger: '2.0',
    paths: { '/apis/wardle.example.com/v1alpha1/flunders': {}, '/version/': {} },
    definitions: { 'com.example.Flunder': { type: 'object' } },
  }),
}

async function* bytes(text: string) {
  yield Buffer.from(text)
}

async function withRemote() {
  const asked: (Asked & { remote: Remote })[] = []
  let answers = true
  const reach: ReachRemote = async (remote, request) => {
    asked.push({ ...request, remote })
    if (!answers) throw new Error('dial tcp 10.0.0.1:7443: connect: connection refused')
    const document = { kind: 'APIResourceList', groupVersion: 'wardle.example.com/v1alpha1', resources }
    const body =
      openapi[request.path] ??
      (request.path.endsWith('/v1alpha1') ? JSON.stringify(document) : '{"kind":"FlunderList"}')
    return { status: 200, headers: { 'content-type': 'application/json' }, body: bytes(body) }
  }
  let time = Date.UTC(2026, 0, 1)
  const tandem = await startServer({ reachRemote: reach, now: () => time })
  const { ok } = tandem
  return {
    ...tandem,
    asked,
    fail: () => {
      answers = false
    },
    async later() {
      time += 60_000
      await tandem.server.aggregation.round()
    },
    async service(port = 7443) {
      await ok('POST', '/api/v1/namespaces/default/services', {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'api' },
        spec: { ports: [{ port }] },
      })
    },
    async endpoints() {
      await ok('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'api-1', labels: { 'kubernetes.io/service-name': 'api' } },
        addressType: 'IPv4',
        ports: [{ name: '', port: 443 }],
        endpoints: [{ addresses: ['10.42.0.9'], conditions: { ready: true } }],
      })
    },
    async condition() {
      const { type, status, reason, message } = (await ok('GET', wardle)).status.conditions[0]
      return [type, status, reason, message]
    },
  }
}

test('every group version of this server has a local APIService', async () => {
  const { ok } = await startServer()
  const { metadata, spec, status } = await ok('GET', `${services}/v1.apps`)
  assert.equal(metadata.labels['kube-aggregator.kubernetes.io/automanaged'], 'onstart')
  assert.deepEqual(spec, { group: 'apps', version: 'v1', groupPriorityMinimum: 17800, versionPriority: 15 })
  const { lastTransitionTime: _, ...condition } = status.conditions[0]
  assert.deepEqual(condition, {
    type: 'Available',
    status: 'True',
    reason: 'Local',
    message: 'Local APIServices are always available',
  })
  assert.equal((await ok('GET', `${services}/v1.`)).spec.group, undefined)
})

test('one that is deleted comes back', async () => {
  const { ok, refused, later } = await withRemote()
  await ok('DELETE', `${services}/v1.apps`)
  await refused(404, 'GET', `${services}/v1.apps`)
  await later()
  await ok('GET', `${services}/v1.apps`)
})

test('names and places of an APIService', async () => {
  const { refused } = await startServer()
  const { service: _, ...spec } = apiService.spec
  const send = (more: object) => refused(422, 'POST', services, { ...apiService, ...more })
  assert.match(await send({ metadata: { name: 'x' } }), /must be `spec.version\+"."\+spec.group`/)
  assert.match(await send({ spec }), /local APIServices may not have a caBundle/)
  assert.match(
    await send({ spec: { ...apiService.spec, groupPriorityMinimum: 0 } }),
    /must be positive and less than 20000/,
  )
  assert.match(
    await send({ spec: { ...apiService.spec, insecureSkipTLSVerify: true } }),
    /may not be true if caBundle is present/,
  )
})

test('availability: what is missing is said, step by step', async () => {
  const remote = await withRemote()
  await remote.ok('POST', services, apiService)
  await remote.later()
  assert.deepEqual(await remote.condition(), [
    'Available',
    'False',
    'ServiceNotFound',
    'service/api in "default" is not present',
  ])
  await remote.service()
  await remote.later()
  assert.equal((await remote.condition())[2], 'EndpointsNotFound')
  const path = '/apis/wardle.example.com/v1alpha1/flunders'
  assert.equal(await remote.refused(503, 'GET', path), 'service unavailable')
  await remote.endpoints()
  await remote.later()
  assert.deepEqual(await remote.condition(), ['Available', 'True', 'Passed', 'all checks passed'])
  remote.fail()
  await remote.later()
  assert.match((await remote.condition())[3], /failing or missing response from https:.*connection refused/)
})

test('a request goes on with the user and without the credentials', async () => {
  const remote = await withRemote()
  await remote.service()
  await remote.endpoints()
  await remote.ok('POST', services, apiService)
  await remote.later()
  const user = { ...userNamed('jane', 'system:masters'), extra: { 'example.com/team': ['a', 'b'] } }
  const answer = await remote.call(
    'POST',
    '/apis/wardle.example.com/v1alpha1/namespaces/default/flunders?dryRun=All',
    '{"a":1}',
    {
      user,
      headers: { authorization: 'Bearer secret', 'x-remote-user': 'root', 'content-type': 'application/json' },
    },
  )
  assert.equal(answer.status, 200)
  const chunks = []
  for await (const chunk of answer.stream!) chunks.push(chunk)
  assert.equal(Buffer.concat(chunks).toString(), '{"kind":"FlunderList"}')
  const { headers, path, method, body, remote: to } = remote.asked.at(-1)!
  assert.deepEqual(
    [method, path, Buffer.from(body!).toString()],
    ['POST', '/apis/wardle.example.com/v1alpha1/namespaces/default/flunders?dryRun=All', '{"a":1}'],
  )
  assert.deepEqual(headers, {
    'x-remote-user': 'jane',
    'x-remote-group': ['system:masters', 'system:authenticated'],
    'x-remote-extra-example.com%2Fteam': ['a', 'b'],
    'user-agent': 'test/1',
    'content-type': 'application/json',
  })
  assert.equal(to.ca, 'a certificate')
  // Who may not, does not.
  await remote.refused(403, 'GET', '/apis/wardle.example.com/v1alpha1/flunders', undefined, { user: userNamed('eve') })
})

test('discovery shows what the other server has, while it is there', async () => {
  const remote = await withRemote()
  await remote.service()
  await remote.endpoints()
  const groups = async () => (await remote.ok('GET', '/apis')).groups.map((group: { name: string }) => group.name)
  const before = await groups()
  await remote.ok('POST', services, apiService)
  assert.deepEqual(await groups(), before)
  await remote.later()
  assert.deepEqual(await groups(), [...before, 'wardle.example.com'])
  assert.deepEqual((await remote.ok('GET', '/apis/wardle.example.com')).preferredVersion, {
    groupVersion: 'wardle.example.com/v1alpha1',
    version: 'v1alpha1',
  })
  const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList'
  const { items } = await remote.ok('GET', '/apis', undefined, { headers: { accept } })
  assert.deepEqual(items.at(-1).versions[0].resources, [
    {
      resource: 'flunders',
      responseKind: { group: 'wardle.example.com', version: 'v1alpha1', kind: 'Flunder' },
      scope: 'Namespaced',
      singularResource: 'flunder',
      verbs: ['get', 'list'],
      subresources: [
        {
          subresource: 'status',
          responseKind: { group: 'wardle.example.com', version: 'v1alpha1', kind: 'Flunder' },
          verbs: ['get'],
        },
      ],
    },
  ])
  await remote.ok('DELETE', wardle)
  assert.deepEqual(await groups(), before)
  await remote.refused(404, 'GET', '/apis/wardle.example.com/v1alpha1/flunders')
})

test('OpenAPI has what the other server says of its objects', async () => {
  const remote = await withRemote()
  await remote.service()
  await remote.endpoints()
  const read = async (path: string) => JSON.parse((await remote.call('GET', path)).text ?? '{}')
  const path = 'apis/wardle.example.com/v1alpha1'
  assert.equal((await read('/openapi/v3')).paths[path], undefined)
  await remote.ok('POST', services, apiService)
  await remote.later()
  const { serverRelativeURL } = (await read('/openapi/v3')).paths[path]
  assert.deepEqual(await read(serverRelativeURL), { openapi: '3.0.0', paths: {} })
  const { paths, definitions } = await read('/openapi/v2')
  assert.ok(`/${path}/flunders` in paths)
  assert.ok('com.example.Flunder' in definitions)
  assert.ok('io.k8s.api.core.v1.Pod' in definitions)
  const first = await remote.call('GET', '/openapi/v2')
  const headers = { 'if-none-match': first.headers!.etag! }
  assert.equal((await remote.call('GET', '/openapi/v2', undefined, { headers })).status, 304)
})

test('conditions of others stay when the state is told', async () => {
  const remote = await withRemote()
  await remote.ok('POST', services, apiService)
  await remote.later()
  const { status } = await remote.ok('GET', wardle)
  const conditions = [...status.conditions, { type: 'Mine', status: 'True', reason: 'E2E', message: 'x' }]
  await remote.ok('PATCH', `${wardle}/status`, { status: { conditions } }, patchType('merge'))
  await remote.service()
  await remote.later()
  const after = (await remote.ok('GET', wardle)).status.conditions
  assert.deepEqual(
    after.map((one: { type: string; reason: string }) => [one.type, one.reason]),
    [
      ['Available', 'EndpointsNotFound'],
      ['Mine', 'E2E'],
    ],
  )
})

test('a Service that is nowhere is told before anything is sent', async () => {
  const reach = createReach(
    () => {
      throw new Error('no endpoints available for service "api"')
    },
    () => undefined,
  )
  await assert.rejects(reach({} as Remote, { method: 'GET', path: '/', headers: {} }), /no endpoints available/)
})
