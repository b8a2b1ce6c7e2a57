// What the platform adds to objects and refuses: Pods, Services, claims.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { patchType, startServer, type TestServer } from '../server.fixture.ts'

const core = '/api/v1/namespaces/default'
const pod = (spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})
const withAccount = async () => {
  const tandem = await startServer()
  await tandem.ok('POST', `${core}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  return tandem
}

test('a Pod gets its account, token volume, tolerations and priority', async () => {
  const { ok } = await withAccount()
  const { spec } = await ok('POST', `${core}/pods`, pod())
  assert.equal(spec.serviceAccountName, 'default')
  assert.equal(spec.priority, 0)
  const volume = spec.volumes[0]
  assert.match(volume.name, /^kube-api-access-[a-z0-9]{5}$/)
  assert.deepEqual(
    volume.projected.sources.map((source: object) => Object.keys(source)[0]),
    ['serviceAccountToken', 'configMap', 'downwardAPI'],
  )
  assert.deepEqual(spec.containers[0].volumeMounts, [
    { name: volume.name, readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
  ])
  assert.deepEqual(
    spec.tolerations.map((one: any) => [one.key, one.tolerationSeconds]),
    [
      ['node.kubernetes.io/not-ready', 300],
      ['node.kubernetes.io/unreachable', 300],
    ],
  )
})

test('a Pod can do without a token', async () => {
  const { ok } = await withAccount()
  const { spec } = await ok('POST', `${core}/pods`, pod({ automountServiceAccountToken: false }))
  assert.equal(spec.volumes, undefined)
})

test('a runtime class must exist; its overhead is the Pod’s', async () => {
  const { ok, refused } = await withAccount()
  assert.equal(
    await refused(403, 'POST', `${core}/pods`, pod({ runtimeClassName: 'gvisor' })),
    'pods "p" is forbidden: pod rejected: RuntimeClass "gvisor" not found',
  )
  await ok('POST', '/apis/node.k8s.io/v1/runtimeclasses', {
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name: 'gvisor' },
    handler: 'runsc',
    overhead: { podFixed: { memory: '64Mi' } },
  })
  assert.deepEqual((await ok('POST', `${core}/pods`, pod({ runtimeClassName: 'gvisor' }))).spec.overhead, {
    memory: '64Mi',
  })
})

test('an account that is missing is told', async () => {
  const { refused } = await withAccount()
  assert.match(
    await refused(403, 'POST', `${core}/pods`, pod({ serviceAccountName: 'robot' })),
    /error looking up service account default\/robot: serviceaccount "robot" not found/,
  )
})

const service = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { ports: [{ port: 80 }], ...spec },
})
const services = `${core}/services`
const create = (tandem: TestServer, name: string, spec?: object) => tandem.ok('POST', services, service(name, spec))

test('addresses are given once, kept on update, and given back', async () => {
  const tandem = await startServer()
  const made = await Promise.all(Array.from({ length: 40 }, (_, i) => create(tandem, `s${i}`)))
  assert.equal(new Set(made.map((one) => one.spec.clusterIP)).size, 40)
  const { clusterIP } = made[0].spec
  const updated = await tandem.ok('PUT', `${services}/s0`, service('s0', { ports: [{ port: 81 }] }))
  assert.equal(updated.spec.clusterIP, clusterIP)
  assert.match(
    await tandem.refused(422, 'PUT', `${services}/s0`, service('s0', { clusterIP: '10.96.0.250' })),
    /may not change once set/,
  )
  assert.match(
    await tandem.refused(422, 'POST', services, service('t', { clusterIP })),
    /failed to allocate IP .*: provided IP is already allocated/,
  )
  await tandem.ok('DELETE', `${services}/s0`)
  assert.equal((await create(tandem, 't', { clusterIP })).spec.clusterIP, clusterIP)
  assert.match(
    await tandem.refused(422, 'POST', services, service('u', { clusterIP: '10.97.0.1' })),
    /The range of valid IPs is 10.96.0.0\/24/,
  )
})

test('a Service that is refused or only tried holds nothing', async () => {
  const tandem = await startServer()
  const clusterIP = '10.96.0.200'
  await tandem.ok('POST', `${services}?dryRun=All`, service('s', { clusterIP }))
  await create(tandem, 'taken')
  await tandem.refused(409, 'POST', services, service('taken', { clusterIP }))
  await create(tandem, 's', { clusterIP })
})

test('two Services of one name at once: one wins, and its address stays its own', async () => {
  const tandem = await startServer()
  const answers = await Promise.all(Array.from({ length: 8 }, () => tandem.call('POST', services, service('same'))))
  assert.deepEqual(answers.map((one) => one.status).sort(), [201, 409, 409, 409, 409, 409, 409, 409])
  const { clusterIP } = (await tandem.ok('GET', `${services}/same`)).spec
  await tandem.refused(422, 'POST', services, service('other', { clusterIP }))
})

test('node ports: drawn, asked for, refused outside the range, kept, and gone with the type', async () => {
  const tandem = await startServer()
  const drawn = await create(tandem, 'a', { type: 'NodePort' })
  const { nodePort } = drawn.spec.ports[0]
  assert.ok(nodePort >= 30000 && nodePort <= 30099)
  const again = await tandem.ok('PUT', `${services}/a`, service('a', { type: 'NodePort', selector: { app: 'x' } }))
  assert.equal(again.spec.ports[0].nodePort, nodePort)
  const asks = (number: number) => service('b', { type: 'NodePort', ports: [{ port: 80, nodePort: number }] })
  assert.match(await tandem.refused(422, 'POST', services, asks(nodePort)), /provided port is already allocated/)
  assert.match(
    await tandem.refused(422, 'POST', services, asks(80)),
    /provided port is not in the valid range. The range of valid ports is 30000-30099/,
  )
  const plain = await tandem.ok('PATCH', `${services}/a`, { spec: { type: 'ClusterIP' } }, patchType('merge'))
  assert.equal(plain.spec.ports[0].nodePort, undefined)
  assert.equal((await tandem.ok('POST', services, asks(nodePort))).spec.ports[0].nodePort, nodePort)
})

test('headless and external Services have no address', async () => {
  const tandem = await startServer()
  assert.equal((await create(tandem, 'h', { clusterIP: 'None' })).spec.clusterIP, 'None')
  const external = await create(tandem, 'e', { type: 'ExternalName', externalName: 'x.example.com', ports: undefined })
  assert.equal(external.spec.clusterIP, undefined)
})

test('a claim gets the default class and its protection', async () => {
  const tandem = await startServer()
  await tandem.ok('POST', '/apis/storage.k8s.io/v1/storageclasses', {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'local', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    provisioner: 'x.io/local',
  })
  const claim = (name: string, spec: object = {}) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
  })
  const made = await tandem.ok('POST', `${core}/persistentvolumeclaims`, claim('a'))
  assert.equal(made.spec.storageClassName, 'local')
  assert.deepEqual(made.metadata.finalizers, ['kubernetes.io/pvc-protection'])
  const none = await tandem.ok('POST', `${core}/persistentvolumeclaims`, claim('b', { storageClassName: '' }))
  assert.equal(none.spec.storageClassName, '')
})
