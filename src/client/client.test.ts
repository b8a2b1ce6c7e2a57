import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, isApiError, notFound } from '../api/errors.ts'
import type { ApiRequest, ApiResponse } from '../api/exchange.ts'
import { FakeClock } from '../base/clock.ts'
import { createClient } from './client.ts'
import { accessFromKubeconfig } from './kubeconfig.ts'
import { createReconciler } from './reconciler.ts'

const deployments = { group: 'apps', version: 'v1', resource: 'deployments' }
const web = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace: 'shop' } }

function recording(answer: ApiResponse = { status: 200, object: web }) {
  const requests: ApiRequest[] = []
  const client = createClient(
    async (request) => {
      requests.push(request)
      return answer
    },
    { userAgent: 'test' },
  )
  const said = () =>
    requests.map(({ method, path, query, headers }) => [method, path, query.toString(), headers['content-type']])
  return { client, requests, said }
}

test('each verb is the request that Kubernetes expects', async () => {
  const { client, said, requests } = recording()
  const path = '/apis/apps/v1/namespaces/shop/deployments'
  await client.get(deployments, 'web', 'shop')
  await client.list(deployments, { namespace: 'shop', labelSelector: 'a=b', limit: 5 })
  await client.create(deployments, web, { dryRun: true, fieldManager: 'me' })
  await client.update(deployments, web)
  await client.updateStatus(deployments, web)
  await client.patch(deployments, 'web', 'shop', 'apply', {}, { force: true, fieldManager: 'me' })
  await client.patch(deployments, 'web', 'shop', 'json', [], { subresource: 'scale' })
  await client.delete(deployments, 'web', 'shop', { propagationPolicy: 'Foreground' })
  assert.deepEqual(said(), [
    ['GET', `${path}/web`, '', undefined],
    ['GET', path, 'labelSelector=a%3Db&limit=5', undefined],
    ['POST', path, 'dryRun=All&fieldManager=me', 'application/json'],
    ['PUT', `${path}/web`, '', 'application/json'],
    ['PUT', `${path}/web/status`, '', 'application/json'],
    ['PATCH', `${path}/web`, 'fieldManager=me&force=true', 'application/apply-patch+yaml'],
    ['PATCH', `${path}/web/scale`, '', 'application/json-patch+json'],
    ['DELETE', `${path}/web`, '', 'application/json'],
  ])
  assert.deepEqual(requests.at(-1)!.body, { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' })
})

test('names with special letters are carried as they are', async () => {
  const { client, said } = recording()
  const roles = { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'clusterroles' }
  await client.get(roles, 'system:node')
  assert.equal(said()[0]![1], '/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node')
})

test('an answer that is a Status becomes the error that it was', async () => {
  const error = notFound('deployments', 'web', 'apps')
  const { client } = recording({ status: 404, object: error.toStatus() })
  await assert.rejects(client.get(deployments, 'web', 'shop'), (thrown: ApiError) => {
    assert.ok(isApiError(thrown, 'NotFound'))
    assert.equal(thrown.message, 'deployments.apps "web" not found')
    return true
  })
  const broken = recording({ status: 502, text: 'bad gateway' })
  await assert.rejects(broken.client.get(deployments, 'web', 'shop'), /bad gateway/)
})

test('an ERROR event ends a watch with its Status', async () => {
  const status = new ApiError('Expired', 'too old resource version: 1 (5)').toStatus()
  const { client } = recording({
    status: 200,
    events: (async function* () {
      yield { type: 'ADDED' as const, object: web }
      yield { type: 'ERROR' as const, object: status as any }
    })(),
  })
  const seen: string[] = []
  await assert.rejects(
    async () => {
      for await (const event of client.watch(deployments)) seen.push(event.type)
    },
    (error) => isApiError(error, 'Expired'),
  )
  assert.deepEqual(seen, ['ADDED'])
})

test('a delete says what stays behind', async () => {
  const leaving = { ...web, metadata: { ...web.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }
  assert.equal(await recording({ status: 200, object: leaving }).client.delete(deployments, 'web', 'shop'), leaving)
  const gone = { status: 200, object: { kind: 'Status', status: 'Success' } }
  assert.equal(await recording(gone).client.delete(deployments, 'web', 'shop'), undefined)
})

test('a kubeconfig gives server and credentials of its context', () => {
  const text = `
current-context: one
clusters: [{name: c, cluster: {server: https://h:6443, certificate-authority-data: ${btoa('CA')}}}]
users: [{name: u, user: {client-certificate-data: ${btoa('CERT')}, client-key: key.pem}}, {name: t, user: {token: T}}]
contexts: [{name: one, context: {cluster: c, user: u, namespace: shop}}, {name: two, context: {cluster: c, user: t}}]
`
  const readFile = (path: string) => `content of ${path}`
  assert.deepEqual(accessFromKubeconfig(text, { readFile }), {
    server: 'https://h:6443',
    ca: 'CA',
    clientCertificate: 'CERT',
    clientKey: 'content of key.pem',
    namespace: 'shop',
  })
  assert.equal(accessFromKubeconfig(text, { context: 'two' }).token, 'T')
  assert.throws(() => accessFromKubeconfig(text, { context: 'three' }), /no context named "three"/)
  assert.throws(() => accessFromKubeconfig('{}'), /no current-context/)
})

test('a reconciler tries a failed key again, later each time, and comes back when asked', async () => {
  const clock = new FakeClock()
  const runs: number[] = []
  let left = 2
  const reconciler = createReconciler({
    name: 'test',
    clock,
    async reconcile() {
      runs.push(clock.now())
      if (left-- > 0) throw new Error('not yet')
      return { requeueAfter: 1000 }
    },
  })
  reconciler.enqueue('a')
  reconciler.start()
  await clock.advance(2000)
  const [first, second, third, fourth] = runs.map((at) => at - runs[0]!)
  assert.equal(first, 0)
  assert.ok(second! > 0 && third! - second! > second!)
  assert.equal(fourth! - third!, 1000)
  await reconciler.stop()
})
