// Webhooks as a client meets them, with a transport that is a function.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemUser } from '../../auth/authn.ts'
import { configMap, maps, patchType, startServer, type TestServer } from '../../server.fixture.ts'
import type { AskWebhook } from './dispatch.ts'

type Answer = (request: any) => object | Promise<object>

const registration = '/apis/admissionregistration.k8s.io/v1'

const allow = (more: object = {}) => ({ allowed: true, ...more })
const patch = (...operations: object[]) =>
  allow({ patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(operations)).toString('base64') })

/** Webhooks by the path of their Service. */
async function serverWith(answers: Record<string, Answer>) {
  const seen: any[] = []
  const ask: AskWebhook = async (client, review: any) => {
    const { request } = review
    seen.push({ path: client.service?.path, ...request })
    const response = await answers[client.service!.path]!(request)
    return { kind: review.kind, apiVersion: review.apiVersion, response: { uid: request.uid, ...response } }
  }
  return { ...(await startServer({ askWebhook: ask })), seen }
}

const hook = (path: string, more: object = {}) => ({
  name: `${path.slice(1)}.hooks.example.com`,
  rules: [{ operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
  clientConfig: { service: { namespace: 'default', name: 'hooks', path } },
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
  ...more,
})

const register = (tandem: TestServer, kind: 'Validating' | 'Mutating', name: string, ...webhooks: object[]) =>
  tandem.ok('POST', `${registration}/${kind.toLowerCase()}webhookconfigurations`, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}WebhookConfiguration`,
    metadata: { name },
    webhooks,
  })

test('a configuration gets its defaults', async () => {
  const tandem = await startServer()
  const { webhooks, metadata } = await register(tandem, 'Mutating', 'a', hook('/a'))
  const { failurePolicy, matchPolicy, timeoutSeconds, reinvocationPolicy, rules, clientConfig } = webhooks[0]
  assert.deepEqual(
    { failurePolicy, matchPolicy, timeoutSeconds, reinvocationPolicy, scope: rules[0].scope },
    { failurePolicy: 'Fail', matchPolicy: 'Equivalent', timeoutSeconds: 10, reinvocationPolicy: 'Never', scope: '*' },
  )
  assert.equal(clientConfig.service.port, 443)
  assert.equal(metadata.generation, 1)
})

test('a configuration that makes no sense is refused', async () => {
  const tandem = await startServer()
  const refused = (more: object) =>
    tandem.refused(422, 'POST', `${registration}/validatingwebhookconfigurations`, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'a' },
      webhooks: [hook('/a', more)],
    })
  assert.match(await refused({ name: 'short' }), /should be a domain with at least three segments separated by dots/)
  assert.match(
    await refused({ sideEffects: 'Some' }),
    /sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"/,
  )
  assert.match(await refused({ timeoutSeconds: 31 }), /the timeout value must be between 1 and 30 seconds/)
  assert.match(await refused({ clientConfig: {} }), /exactly one of url or service is required/)
  assert.match(
    await refused({ clientConfig: { url: 'http://x/y?z#a' } }),
    /'https' is the only allowed URL scheme.*fragments are not permitted.*query parameters are not permitted/,
  )
  assert.match(await refused({ admissionReviewVersions: ['v7'] }), /must include at least one of v1, v1beta1/)
  assert.match(
    await refused({ rules: [{ operations: ['*', 'CREATE'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }] }),
    /if '\*' is present, must not specify other operations/,
  )
})

test('a validating webhook refuses with its own words and code', async () => {
  const tandem = await serverWith({
    '/deny': ({ object }) =>
      object?.data?.bad ? { allowed: false, status: { code: 418, message: 'too bad', reason: 'Teapot' } } : allow(),
  })
  await register(tandem, 'Validating', 'a', hook('/deny'))
  const answer = await tandem.call('POST', maps, configMap('a', { bad: 'yes' }))
  assert.equal(answer.status, 418)
  assert.deepEqual(answer.object, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'admission webhook "deny.hooks.example.com" denied the request: too bad',
    reason: 'Teapot',
    code: 418,
  })
  await tandem.ok('POST', maps, configMap('a'))
  assert.equal((await tandem.call('PATCH', `${maps}/a`, { data: { bad: 'x' } }, patchType('merge'))).status, 418)
  await tandem.ok('DELETE', `${maps}/a`)
  assert.deepEqual(
    tandem.seen.map(({ operation, name, object, oldObject, options }) => [
      operation,
      name,
      object?.metadata.name ?? null,
      oldObject?.metadata.name ?? null,
      options.kind,
    ]),
    [
      ['CREATE', 'a', 'a', null, 'CreateOptions'],
      ['CREATE', 'a', 'a', null, 'CreateOptions'],
      ['UPDATE', 'a', 'a', 'a', 'PatchOptions'],
      ['DELETE', 'a', null, 'a', 'DeleteOptions'],
    ],
  )
})

test('without explanation', async () => {
  const tandem = await serverWith({ '/no': () => ({ allowed: false }) })
  await register(tandem, 'Validating', 'a', hook('/no'))
  assert.equal(
    await tandem.refused(400, 'POST', maps, configMap('a')),
    'admission webhook "no.hooks.example.com" denied the request without explanation',
  )
})

test('mutating webhooks see what the ones before made, in the order of names; fields are read by the schema', async () => {
  const add = (key: string) => patch({ op: 'add', path: `/data/${key}`, value: 'yes' })
  const tandem = await serverWith({
    '/one': () => add('one'),
    '/two': ({ object }) => (object.data.one ? add('two') : allow()),
    '/meta': () =>
      patch({ op: 'replace', path: '/metadata/uid', value: 'mine' }, { op: 'add', path: '/junk', value: 1 }),
  })
  await register(tandem, 'Mutating', 'b', hook('/two'), hook('/meta'))
  await register(tandem, 'Mutating', 'a', hook('/one'))
  const made = await tandem.ok('POST', maps, configMap('m', { zero: 'yes' }))
  assert.deepEqual(made.data, { zero: 'yes', one: 'yes', two: 'yes' })
  assert.notEqual(made.metadata.uid, 'mine')
  assert.equal(made.junk, undefined)
})

test('who may be asked again is, when somebody changed the object later', async () => {
  const count = { first: 0, never: 0 }
  const tandem = await serverWith({
    '/first': ({ object }) => {
      count.first++
      return object.data.late ? patch({ op: 'add', path: '/data/seen', value: 'late' }) : allow()
    },
    '/never': () => {
      count.never++
      return allow()
    },
    '/late': () => patch({ op: 'add', path: '/data/late', value: 'yes' }),
  })
  const again = { reinvocationPolicy: 'IfNeeded' }
  await register(tandem, 'Mutating', 'a', hook('/first', again), hook('/never'), hook('/late', again))
  const { data } = await tandem.ok('POST', maps, configMap('m', { a: 'b' }))
  assert.deepEqual(data, { a: 'b', late: 'yes', seen: 'late' })
  assert.deepEqual(count, { first: 2, never: 1 })
})

test('defaults and rules of the kind hold after a mutation', async () => {
  const pods = '/api/v1/namespaces/default/pods'
  const forPods = { rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }] }
  let image = 'busybox'
  const tandem = await serverWith({
    '/init': () => patch({ op: 'add', path: '/spec/initContainers', value: [{ name: 'init', image }] }),
  })
  await tandem.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  await register(tandem, 'Mutating', 'a', hook('/init', forPods))
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  }
  const { spec } = await tandem.ok('POST', pods, pod)
  assert.equal(spec.initContainers[0].terminationMessagePolicy, 'File')
  image = ''
  assert.match(await tandem.refused(422, 'POST', pods, { ...pod, metadata: { name: 'q' } }), /image: Required value/)
})

test('a webhook that fails: closed or open', async () => {
  const tandem = await serverWith({
    '/broken': () => {
      throw new Error('failed to call webhook: Post "https://x": context deadline exceeded')
    },
  })
  await register(tandem, 'Validating', 'a', hook('/broken'))
  assert.equal(
    await tandem.refused(500, 'POST', maps, configMap('a')),
    'Internal error occurred: failed calling webhook "broken.hooks.example.com": failed to call webhook: Post "https://x": context deadline exceeded',
  )
  const path = `${registration}/validatingwebhookconfigurations/a`
  await tandem.ok('PATCH', path, [{ op: 'add', path: '/webhooks/0/failurePolicy', value: 'Ignore' }], patchType('json'))
  await tandem.ok('POST', maps, configMap('a'))
})

test('answers that are none', async () => {
  let answer: object = {}
  const tandem = await serverWith({ '/odd': () => answer })
  await register(tandem, 'Validating', 'a', hook('/odd'))
  const refused = async (with_: object) => {
    answer = with_
    return await tandem.refused(500, 'POST', maps, configMap('a'))
  }
  assert.match(await refused({ allowed: true, uid: 'x' }), /expected response.uid=".*", got "x"/)
  assert.match(await refused({ allowed: true, patch: 'W10=', patchType: 'JSONPatch' }), /may not return response.patch/)
})

test('selectors of namespaces and objects, and scope', async () => {
  const tandem = await serverWith({ '/no': () => ({ allowed: false }) })
  await register(
    tandem,
    'Validating',
    'a',
    hook('/no', {
      namespaceSelector: { matchLabels: { watched: 'yes' } },
      objectSelector: { matchLabels: { app: 'x' } },
    }),
  )
  await tandem.ok('POST', maps, configMap('a', {}, { app: 'x' }))
  await tandem.ok(
    'PATCH',
    '/api/v1/namespaces/default',
    { metadata: { labels: { watched: 'yes' } } },
    patchType('merge'),
  )
  await tandem.refused(400, 'POST', maps, configMap('b', {}, { app: 'x' }))
  await tandem.ok('POST', maps, configMap('b', {}, { app: 'y' }))
  // The object as it was matches.
  await tandem.refused(400, 'PUT', `${maps}/a`, configMap('a', {}, { app: 'y' }))
})

test('webhooks are not asked about webhooks', async () => {
  const everything = { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }] }
  const tandem = await serverWith({ '/no': () => ({ allowed: false }) })
  await register(tandem, 'Validating', 'a', hook('/no', everything))
  await tandem.refused(400, 'POST', maps, configMap('b'))
  await register(tandem, 'Validating', 'b', hook('/no', everything))
  await tandem.ok('DELETE', `${registration}/validatingwebhookconfigurations/a`)
  await tandem.ok('DELETE', `${registration}/validatingwebhookconfigurations/b`)
  await tandem.ok('POST', maps, configMap('b'))
})

test('a dry run asks only who has no side effects, and says so', async () => {
  const tandem = await serverWith({ '/yes': () => allow({ warnings: ['careful'] }) })
  await register(tandem, 'Validating', 'a', hook('/yes', { sideEffects: 'NoneOnDryRun' }))
  const answer = await tandem.call('POST', `${maps}?dryRun=All`, configMap('b'))
  assert.deepEqual([answer.status, answer.warnings], [201, ['careful']])
  assert.deepEqual([tandem.seen[0].dryRun, tandem.seen[0].options.dryRun], [true, ['All']])
})

test('v1beta1 needs neither uid nor type of patch', async () => {
  const operations = Buffer.from(JSON.stringify([{ op: 'add', path: '/data', value: { a: 'b' } }])).toString('base64')
  const tandem = await serverWith({ '/old': () => ({ allowed: true, uid: '', patch: operations }) })
  await register(tandem, 'Mutating', 'a', hook('/old', { admissionReviewVersions: ['v1beta1', 'v1'] }))
  assert.deepEqual((await tandem.ok('POST', maps, configMap('b'))).data, { a: 'b' })
})

test('a write that a webhook makes to the same object meanwhile is not lost and locks nothing', async () => {
  let server: TestServer
  let once = true
  let visits = 0
  const tandem = await serverWith({
    '/self': async ({ operation, userInfo }) => {
      if (operation !== 'UPDATE' || userInfo.groups.includes('hook')) return allow()
      if (once) {
        once = false
        const user = { name: 'hook', groups: ['hook', 'system:masters'] }
        const change = { data: { hook: `was here ${++visits} times` } }
        await server.ok('PATCH', `${maps}/a`, change, { ...patchType('merge'), user })
      }
      return allow()
    },
  })
  server = tandem
  await register(tandem, 'Validating', 'a', hook('/self'))
  await tandem.ok('POST', maps, configMap('a'))
  const { data } = await tandem.ok('PATCH', `${maps}/a`, { data: { mine: 'yes' } }, patchType('merge'))
  assert.deepEqual(data, { hook: 'was here 1 times', mine: 'yes' })
  once = true
  // A client that names its revision is told instead.
  const { metadata } = await tandem.ok('GET', `${maps}/a`)
  await tandem.refused(409, 'PUT', `${maps}/a`, { ...configMap('a'), metadata })
})

test('attaching to a Pod may be refused', async () => {
  const tandem = await serverWith({
    '/attach': () => ({ allowed: false, status: { message: 'not allowed here' } }),
  })
  const rules = [{ operations: ['CONNECT'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods/attach'] }]
  await register(tandem, 'Validating', 'a', hook('/attach', { rules }))
  const stream = (part: string) =>
    tandem.server.admitStream({
      method: 'POST',
      path: `/api/v1/namespaces/default/pods/p/${part}`,
      query: new URLSearchParams('stdin=true&container=c&command=sh'),
      headers: {},
      user: systemUser,
    })
  await assert.rejects(
    stream('attach'),
    /admission webhook "attach.hooks.example.com" denied the request: not allowed here/,
  )
  await stream('exec')
  const [{ operation, kind, subResource, object, name }] = tandem.seen
  assert.deepEqual([operation, kind.kind, subResource, name], ['CONNECT', 'PodAttachOptions', 'attach', 'p'])
  assert.deepEqual(object, { kind: 'PodAttachOptions', apiVersion: 'v1', stdin: true, container: 'c' })
})

test('a Scale is seen as a Scale, a binding as a Binding, and may be changed', async () => {
  const tandem = await serverWith({
    '/scale': ({ object }) =>
      object.spec.replicas > 5 ? patch({ op: 'replace', path: '/spec/replicas', value: 5 }) : allow(),
    '/binding': () => ({ allowed: false, status: { message: 'not there' } }),
  })
  const rule = (group: string, resource: string) => [
    { operations: ['*'], apiGroups: [group], apiVersions: ['v1'], resources: [resource] },
  ]
  await register(tandem, 'Mutating', 'a', hook('/scale', { rules: rule('apps', 'deployments/scale') }))
  await register(tandem, 'Validating', 'a', hook('/binding', { rules: rule('', 'pods/binding') }))
  const deployments = '/apis/apps/v1/namespaces/default/deployments'
  const labels = { a: 'b' }
  const spec = { containers: [{ name: 'c', image: 'i' }] }
  await tandem.ok('POST', deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'd' },
    spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
  })
  const scaled = await tandem.ok('PATCH', `${deployments}/d/scale`, { spec: { replicas: 9 } }, patchType('merge'))
  assert.equal(scaled.spec.replicas, 5)
  assert.deepEqual(tandem.seen[0].kind, { group: 'autoscaling', version: 'v1', kind: 'Scale' })
  assert.equal(tandem.seen[0].oldObject.spec.replicas, 1)
  const core = '/api/v1/namespaces/default'
  await tandem.ok('POST', `${core}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  await tandem.ok('POST', `${core}/pods`, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec })
  const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } }
  assert.match(await tandem.refused(400, 'POST', `${core}/pods/p/binding`, binding), /denied the request: not there/)
  const { operation, kind, subResource, object } = tandem.seen.at(-1)
  assert.deepEqual([operation, kind.kind, subResource, object.target.name], ['CREATE', 'Binding', 'binding', 'n'])
})
