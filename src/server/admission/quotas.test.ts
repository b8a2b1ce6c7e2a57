// Quotas and limit ranges as a client meets them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configMap, maps, patchType, startServer, type TestServer } from '../server.fixture.ts'

const core = '/api/v1/namespaces/default'
const pods = `${core}/pods`

async function withAccount(): Promise<TestServer> {
  const tandem = await startServer()
  await tandem.ok('POST', `${core}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  return tandem
}

const quota = (name: string, spec: object) => ({ apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name }, spec })
const quotas = `${core}/resourcequotas`

const pod = (name: string, resources: object = {}, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i', resources }], ...spec },
})

const counts = (answers: { status: number }[]) => answers.filter(({ status }) => status === 201).length

test('many writes at once never take more than there is', async () => {
  const tandem = await startServer()
  await tandem.ok('POST', quotas, quota('q', { hard: { 'count/configmaps': '5' } }))
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => tandem.call('POST', maps, configMap(`m${i}`))))
  assert.equal(counts(answers), 5)
  assert.equal(
    await tandem.refused(403, 'POST', maps, configMap('more')),
    'configmaps "more" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=5, limited: count/configmaps=5',
  )
  await tandem.refused(403, 'POST', `${maps}?dryRun=All`, configMap('more'))
  const first = (await tandem.ok('GET', maps)).items[0].metadata.name
  await tandem.ok('DELETE', `${maps}/${first}`)
  const again = await Promise.all(Array.from({ length: 5 }, (_, i) => tandem.call('POST', maps, configMap(`n${i}`))))
  assert.equal(counts(again), 1)
})

test('a write that is refused later or only tried takes nothing', async () => {
  const tandem = await startServer()
  await tandem.ok('POST', quotas, quota('q', { hard: { configmaps: '1' } }))
  await tandem.ok('POST', `${maps}?dryRun=All`, configMap('a'))
  const answers = await Promise.all([1, 2, 3].map(() => tandem.call('POST', maps, configMap('a'))))
  assert.equal(counts(answers), 1)
  await tandem.refused(403, 'POST', maps, configMap('b'))
})

test('compute resources of Pods: every container says what it needs', async () => {
  const tandem = await withAccount()
  await tandem.ok('POST', quotas, quota('q', { hard: { 'requests.cpu': '1', 'limits.memory': '1Gi', pods: '3' } }))
  assert.equal(
    await tandem.refused(403, 'POST', pods, pod('a')),
    'pods "a" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c',
  )
  const resources = { requests: { cpu: '600m' }, limits: { memory: '256Mi' } }
  await tandem.ok('POST', pods, pod('a', resources))
  assert.equal(
    await tandem.refused(403, 'POST', pods, pod('b', resources)),
    'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1',
  )
  // A Pod that has ended leaves its place.
  await tandem.ok('PATCH', `${pods}/a/status`, { status: { phase: 'Succeeded' } }, patchType('merge'))
  await tandem.ok('POST', pods, pod('b', resources))
})

test('scopes: a quota counts only what it is about', async () => {
  const tandem = await withAccount()
  await tandem.ok('POST', quotas, quota('best', { hard: { pods: '1' }, scopes: ['BestEffort'] }))
  await tandem.ok('POST', quotas, quota('short', { hard: { pods: '0' }, scopes: ['Terminating'] }))
  const selector = { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In', values: ['gold'] }] }
  await tandem.ok('POST', quotas, quota('gold', { hard: { pods: '0' }, scopeSelector: selector }))
  await tandem.ok('POST', '/apis/scheduling.k8s.io/v1/priorityclasses', {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'gold' },
    value: 5,
  })
  const asking = { requests: { cpu: '1m' } }
  await tandem.ok('POST', pods, pod('a'))
  assert.match(await tandem.refused(403, 'POST', pods, pod('b')), /exceeded quota: best/)
  await tandem.ok('POST', pods, pod('b', asking))
  assert.match(
    await tandem.refused(403, 'POST', pods, pod('c', asking, { activeDeadlineSeconds: 9 })),
    /exceeded quota: short/,
  )
  assert.match(
    await tandem.refused(403, 'POST', pods, pod('c', asking, { priorityClassName: 'gold' })),
    /exceeded quota: gold/,
  )
})

test('node ports, load balancers and the storage of a class', async () => {
  const tandem = await startServer()
  const hard = {
    'services.nodeports': '1',
    'services.loadbalancers': '0',
    'gold.storageclass.storage.k8s.io/requests.storage': '5Gi',
  }
  await tandem.ok('POST', quotas, quota('q', { hard }))
  const service = (name: string, type: string) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { type, ports: [{ port: 80 }] },
  })
  await tandem.ok('POST', `${core}/services`, service('a', 'NodePort'))
  assert.match(await tandem.refused(403, 'POST', `${core}/services`, service('b', 'NodePort')), /services.nodeports=1/)
  await tandem.ok('POST', `${core}/services`, service('b', 'ClusterIP'))
  assert.match(
    await tandem.refused(403, 'PATCH', `${core}/services/b`, { spec: { type: 'NodePort' } }, patchType('merge')),
    /exceeded quota: q, requested: services.nodeports=1/,
  )
  const claim = (name: string, storageClassName: string) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: { storageClassName, accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '3Gi' } } },
  })
  const claims = `${core}/persistentvolumeclaims`
  await tandem.ok('POST', claims, claim('a', 'gold'))
  assert.match(await tandem.refused(403, 'POST', claims, claim('b', 'gold')), /requests.storage=3Gi/)
  await tandem.ok('POST', claims, claim('b', 'silver'))
})

test('machines and Pods share what a namespace may hold', async () => {
  const tandem = await withAccount()
  await tandem.ok('POST', quotas, quota('q', { hard: { 'requests.memory': '1Gi', 'limits.memory': '1Gi' } }))
  const machine = (name: string, guest: string) => ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name },
    spec: { domain: { memory: { guest }, devices: {} } },
  })
  const path = '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances'
  await tandem.ok('POST', path, machine('a', '768Mi'))
  assert.equal(
    await tandem.refused(403, 'POST', path, machine('b', '512Mi')),
    'virtualmachineinstances.kubevirt.io "b" is forbidden: exceeded quota: q, requested: limits.memory=512Mi,requests.memory=512Mi, used: limits.memory=768Mi,requests.memory=768Mi, limited: limits.memory=1Gi,requests.memory=1Gi',
  )
  const memory = (amount: string) => ({ requests: { memory: amount }, limits: { memory: amount } })
  assert.match(await tandem.refused(403, 'POST', pods, pod('p', memory('300Mi'))), /used: limits.memory=768Mi/)
  await tandem.ok('POST', pods, pod('p', memory('200Mi')))
})

test('a quota that makes no sense is refused', async () => {
  const tandem = await startServer()
  const refused = (spec: object) => tandem.refused(422, 'POST', quotas, quota('q', spec))
  assert.match(await refused({ hard: { shoes: '1' } }), /must be a standard resource type or fully qualified/)
  assert.match(await refused({ hard: { pods: '1500m' } }), /must be an integer/)
  assert.match(await refused({ scopes: ['BestEffort', 'NotBestEffort'] }), /conflicting scopes/)
  assert.match(
    await refused({ hard: { secrets: '1' }, scopes: ['BestEffort'] }),
    /unsupported scope applied to resource/,
  )
})

const range = (...limits: object[]) => ({
  apiVersion: 'v1',
  kind: 'LimitRange',
  metadata: { name: 'r' },
  spec: { limits },
})

test('a limit range presets what is missing and says so', async () => {
  const tandem = await withAccount()
  const made = await tandem.ok(
    'POST',
    `${core}/limitranges`,
    range({ type: 'Container', max: { memory: '1Gi' }, min: { cpu: '50m' }, default: { cpu: '200m' } }),
  )
  assert.deepEqual(made.spec.limits[0].default, { memory: '1Gi', cpu: '200m' })
  assert.deepEqual(made.spec.limits[0].defaultRequest, { memory: '1Gi', cpu: '200m' })
  const { spec, metadata } = await tandem.ok('POST', pods, pod('a', { requests: { cpu: '100m' } }))
  assert.deepEqual(spec.containers[0].resources, {
    requests: { cpu: '100m', memory: '1Gi' },
    limits: { cpu: '200m', memory: '1Gi' },
  })
  assert.equal(
    metadata.annotations['kubernetes.io/limit-ranger'],
    'LimitRanger plugin set: memory request for container c; cpu, memory limit for container c',
  )
  assert.equal(
    await tandem.refused(403, 'POST', pods, pod('b', { requests: { cpu: '10m' }, limits: { memory: '2Gi' } })),
    'pods "b" is forbidden: [minimum cpu usage per Container is 50m, but request is 10m, maximum memory usage per Container is 1Gi, but limit is 2Gi]',
  )
})

test('limits of whole Pods, ratios and claims', async () => {
  const tandem = await withAccount()
  await tandem.ok(
    'POST',
    `${core}/limitranges`,
    range(
      { type: 'Pod', max: { cpu: '1' }, maxLimitRequestRatio: { cpu: '2' } },
      { type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } },
    ),
  )
  const cpu = (requests: string, limits: string) => ({ requests: { cpu: requests }, limits: { cpu: limits } })
  await tandem.ok('POST', pods, pod('a', cpu('500m', '1')))
  assert.match(
    await tandem.refused(403, 'POST', pods, pod('b', cpu('200m', '900m'))),
    /cpu max limit to request ratio per Pod is 2, but provided ratio is 4.500000/,
  )
  assert.match(
    await tandem.refused(403, 'POST', pods, pod('b')),
    /maximum cpu usage per Pod is 1. {2}No limit is specified/,
  )
  const claim = (storage: string) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'c' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
  })
  assert.equal(
    await tandem.refused(403, 'POST', `${core}/persistentvolumeclaims`, claim('5Gi')),
    'persistentvolumeclaims "c" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 5Gi',
  )
  await tandem.ok('POST', `${core}/persistentvolumeclaims`, claim('2Gi'))
})
