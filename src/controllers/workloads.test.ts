// ReplicationControllers, StatefulSets and DaemonSets on a whole platform with a pretended kubelet.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { assertNames, nodeName, startTestPlatform, type TestPlatform } from './platform.fixture.ts'
import {
  controllerRevisions,
  daemonSets,
  nodes,
  persistentVolumeClaims,
  pods,
  replicationControllers,
  statefulSets,
} from './resources.ts'

let platform: TestPlatform
before(async () => {
  platform = await startTestPlatform()
})
after(() => platform.stop())

const container = (image: string) => [{ name: 'c', image }]

const workload = (kind: string, name: string, spec: Record<string, unknown>): ApiObject => ({
  apiVersion: kind === 'ReplicationController' ? 'v1' : 'apps/v1',
  kind,
  metadata: { name, namespace: 'default' },
  spec,
})

const template = (app: string, image = 'one') => ({
  metadata: { labels: { app } },
  spec: { containers: container(image) },
})

const named = (objects: StoredObject[], prefix: string) =>
  objects.filter(({ metadata }) => metadata.name.startsWith(prefix))

const setImage = (image: string) => ({ spec: { template: { spec: { containers: container(image) } } } })
const isSettled = (object: StoredObject | undefined): boolean =>
  object !== undefined && object.status?.observedGeneration === object.metadata.generation
const imageOf = (pod: StoredObject): string => pod.spec.containers[0].image

test('a ReplicationController adopts, scales and releases', async () => {
  const { client } = platform
  await client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'rc-orphan', namespace: 'default', labels: { app: 'rc' } },
    spec: { containers: container('one') },
  })
  await client.create(
    replicationControllers,
    workload('ReplicationController', 'rc', { replicas: 2, template: template('rc') }),
  )
  const ready = await platform.until(replicationControllers, 'default/rc', (rc) => rc?.status?.readyReplicas === 2)
  assert.deepEqual(ready.spec.selector, { app: 'rc' })
  const orphan = await platform.until(pods, 'default/rc-orphan', (pod) => Boolean(pod?.metadata.ownerReferences))
  assert.equal(orphan.metadata.ownerReferences![0]!.kind, 'ReplicationController')
  await client.patch(pods, 'rc-orphan', 'default', 'merge', { metadata: { labels: { app: 'free' } } })
  await platform.until(pods, 'default/rc-orphan', (pod) => !pod?.metadata.ownerReferences)
  await platform.until(replicationControllers, 'default/rc', (rc) => rc?.status?.replicas === 2)
})

test('a StatefulSet starts in order, keeps claims, updates from the last and goes back', async () => {
  const { client } = platform
  await client.create(
    statefulSets,
    workload('StatefulSet', 'db', {
      replicas: 3,
      serviceName: 'db',
      selector: { matchLabels: { app: 'db' } },
      template: template('db'),
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
        },
      ],
    }),
  )
  await platform.until(statefulSets, 'default/db', (set) => set?.status?.readyReplicas === 3)
  const made = named(platform.informers.informer(pods).list('default'), 'db-')
  assertNames(made, ['db-0', 'db-1', 'db-2'])
  const second = made.find(({ metadata }) => metadata.name === 'db-1')!
  assert.equal(second.spec.hostname, 'db-1')
  assert.equal(second.spec.subdomain, 'db')
  assert.equal(second.metadata.labels!['apps.kubernetes.io/pod-index'], '1')
  const created = made.toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
  assert.equal(created[0]!.metadata.name, 'db-0')
  assertNames(named(platform.informers.informer(persistentVolumeClaims).list('default'), 'data-db-'), [
    'data-db-0',
    'data-db-1',
    'data-db-2',
  ])
  await client.patch(statefulSets, 'db', 'default', 'merge', setImage('two'))
  await platform.until(
    statefulSets,
    'default/db',
    (set) => isSettled(set) && set?.status.updatedReplicas === 3 && set.status.readyReplicas === 3,
  )
  const images = (name: string) => named(platform.informers.informer(pods).list('default'), name).map(imageOf)
  assert.deepEqual(images('db-'), ['two', 'two', 'two'])
  await client.patch(statefulSets, 'db', 'default', 'merge', setImage('one'))
  await platform.until(
    statefulSets,
    'default/db',
    (set) => isSettled(set) && set?.status.updatedReplicas === 3 && set.status.readyReplicas === 3,
  )
  const revisions = named(platform.informers.informer(controllerRevisions).list('default'), 'db-')
  assert.deepEqual(revisions.map(({ revision }) => revision).sort(), [2, 3])
})

test('a partition holds back, claims go with the set when it says so', async () => {
  const { client } = platform
  await client.create(
    statefulSets,
    workload('StatefulSet', 'part', {
      replicas: 2,
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: { app: 'part' } },
      template: template('part'),
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 1 } },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Delete' },
      volumeClaimTemplates: [
        {
          metadata: { name: 'd' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
        },
      ],
    }),
  )
  await platform.until(statefulSets, 'default/part', (set) => set?.status?.readyReplicas === 2)
  await client.patch(statefulSets, 'part', 'default', 'merge', setImage('two'))
  await platform.until(pods, 'default/part-1', (pod) => pod !== undefined && imageOf(pod) === 'two')
  assert.equal(imageOf(platform.informers.informer(pods).get('default/part-0')!), 'one')
  await platform.until(
    persistentVolumeClaims,
    'default/d-part-1',
    (claim) => claim?.metadata.ownerReferences?.[0]?.kind === 'StatefulSet',
  )
  await client.patch(statefulSets, 'part', 'default', 'merge', { spec: { replicas: 1 } })
  await platform.until(persistentVolumeClaims, 'default/d-part-1', (claim) => !claim)
  await client.delete(statefulSets, 'part', 'default', { propagationPolicy: 'Background' })
  await platform.until(persistentVolumeClaims, 'default/d-part-0', (claim) => !claim)
})

test('a DaemonSet follows the node and its template, and replaces what failed', async () => {
  const { client } = platform
  const podsOf = () => named(platform.informers.informer(pods).list('default'), 'agent-')
  await client.create(
    daemonSets,
    workload('DaemonSet', 'agent', {
      selector: { matchLabels: { app: 'agent' } },
      template: { ...template('agent'), spec: { containers: container('one'), nodeSelector: { color: 'blue' } } },
    }),
  )
  await platform.until(daemonSets, 'default/agent', (set) => set?.status?.observedGeneration === 1)
  assert.equal(podsOf().length, 0)
  await client.patch(nodes, nodeName, undefined, 'merge', { metadata: { labels: { color: 'blue' } } })
  await platform.until(daemonSets, 'default/agent', (set) => set?.status?.numberAvailable === 1)
  const [first] = podsOf()
  await client.patch(
    pods,
    first!.metadata.name,
    'default',
    'merge',
    { status: { phase: 'Failed' } },
    { subresource: 'status' },
  )
  await platform.untilEvents('FailedDaemonPod', [/will try to kill it/])
  await platform.untilAll(pods, () => podsOf().length === 1 && podsOf()[0]!.metadata.uid !== first!.metadata.uid)
  const before = await platform.until(daemonSets, 'default/agent', (set) => set?.status?.numberAvailable === 1)
  assert.equal(before.metadata.annotations!['deprecated.daemonset.template.generation'], '1')
  await client.patch(daemonSets, 'agent', 'default', 'merge', setImage('two'))
  await platform.until(
    daemonSets,
    'default/agent',
    (set) => isSettled(set) && set?.status.updatedNumberScheduled === 1 && set.status.numberAvailable === 1,
  )
  assert.deepEqual(podsOf().map(imageOf), ['two'])
  assert.equal(named(platform.informers.informer(controllerRevisions).list('default'), 'agent-').length, 2)
  await client.patch(nodes, nodeName, undefined, 'merge', { metadata: { labels: { color: null } } })
  await platform.untilAll(pods, () => podsOf().length === 0)
})
