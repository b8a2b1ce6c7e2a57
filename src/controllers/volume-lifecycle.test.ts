// Claims and volumes through their lives: growing, reclaiming, failing.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../api/meta.ts'
import { nodeName, startTestPlatform } from './platform.fixture.ts'
import { persistentVolumeClaims, persistentVolumes, pods } from './resources.ts'

const claim = (name: string, spec: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: 'default' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
})

const volume = (name: string, spec: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name },
  spec: {
    capacity: { storage: '2Gi' },
    accessModes: ['ReadWriteOnce'],
    csi: { driver: 'disks.example.com', volumeHandle: name },
    ...spec,
  },
})

const phase =
  (wanted: string) =>
  (object: any): boolean =>
    object?.status?.phase === wanted

test('a claim of the local class grows, and not where its class forbids it', async (context) => {
  const { client, until, untilEvents, stop } = await startTestPlatform()
  context.after(stop)
  await client.create(persistentVolumeClaims, claim('data'))
  await client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'user', namespace: 'default' },
    spec: {
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }],
    },
  })
  const bound = await until(persistentVolumeClaims, 'default/data', phase('Bound'))
  const resize = (storage: string) => ({ spec: { resources: { requests: { storage } } } })
  await client.patch(persistentVolumeClaims, 'data', 'default', 'merge', resize('3Gi'))
  await until(persistentVolumeClaims, 'default/data', (object) => object?.status?.capacity?.storage === '3Gi')
  await untilEvents('VolumeResizeSuccessful', ['Resize volume succeeded for volume default/data'])
  const grown = await until(persistentVolumes, bound.spec.volumeName, Boolean)
  assert.equal(grown.spec.capacity.storage, '3Gi')
  assert.ok(grown.status?.lastPhaseTransitionTime)
  await assert.rejects(
    client.patch(persistentVolumeClaims, 'data', 'default', 'merge', resize('2Gi')),
    /field can not be less than status.capacity/,
  )

  await client.create(persistentVolumes, volume('fixed', { storageClassName: 'manual' }))
  await client.create(persistentVolumeClaims, claim('fixed', { storageClassName: 'manual' }))
  await until(persistentVolumeClaims, 'default/fixed', phase('Bound'))
  await assert.rejects(
    client.patch(persistentVolumeClaims, 'fixed', 'default', 'merge', resize('2Gi')),
    /the storageclass that provisions the pvc must support resize/,
  )
  assert.equal(grown.spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0], nodeName)
})

test('what becomes of a volume whose claim goes', async (context) => {
  const { client, until, untilEvents, stop } = await startTestPlatform()
  context.after(stop)
  const policies = ['Retain', 'Delete', 'Recycle']
  for (const policy of policies) {
    const name = policy.toLowerCase()
    const storageClassName = name
    await client.create(persistentVolumes, volume(name, { storageClassName, persistentVolumeReclaimPolicy: policy }))
    await client.create(persistentVolumeClaims, claim(name, { storageClassName }))
    await until(persistentVolumes, name, phase('Bound'))
    await client.delete(persistentVolumeClaims, name, 'default')
  }
  await until(persistentVolumes, 'retain', phase('Released'))
  await until(persistentVolumes, 'delete', phase('Failed'))
  await until(persistentVolumes, 'recycle', phase('Failed'))
  await untilEvents('VolumeFailedDelete', [/no deletable volume plugin matched/])
  await untilEvents('VolumeFailedRecycle', ['No recycler plugin found for the volume!'])
  // A person gives the retained one free again.
  await client.patch(persistentVolumes, 'retain', undefined, 'merge', { spec: { claimRef: null } })
  await until(persistentVolumes, 'retain', phase('Available'))
})
