import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { localVolume, localVolumePath } from './local-volumes.ts'
import { object } from './sample.fixture.ts'
import { claimsOfMachine, claimsOfPod, defaultStorageClass, matchingVolume } from './volume-matching.ts'
import { protection, usesClaim } from './volume-protection.ts'

const claim = (spec: Record<string, unknown> = {}): StoredObject =>
  object('PersistentVolumeClaim', 'data', {
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'slow',
      resources: { requests: { storage: '5Gi' } },
      ...spec,
    },
  })

const volume = (name: string, storage: string, spec: Record<string, unknown> = {}, labels = {}): StoredObject =>
  object('PersistentVolume', name, {
    metadata: { labels },
    spec: { capacity: { storage }, accessModes: ['ReadWriteOnce'], storageClassName: 'slow', ...spec },
    status: { phase: 'Available' },
  })

test('the smallest volume that fits in every respect', () => {
  const name = (wanted: StoredObject, ...volumes: StoredObject[]) =>
    matchingVolume(wanted, volumes, false)?.metadata.name
  assert.equal(name(claim(), volume('big', '50Gi'), volume('fit', '5Gi'), volume('small', '1Gi')), 'fit')
  assert.equal(name(claim(), volume('other', '5Gi', { storageClassName: 'fast' })), undefined)
  assert.equal(name(claim({ accessModes: ['ReadWriteMany'] }), volume('v', '5Gi')), undefined)
  assert.equal(name(claim(), volume('block', '5Gi', { volumeMode: 'Block' })), undefined)
  assert.equal(name(claim(), volume('taken', '5Gi', { claimRef: { name: 'x', namespace: 'default' } })), undefined)
  const selector = { matchLabels: { disk: 'ssd' } }
  assert.equal(name(claim({ selector }), volume('hdd', '5Gi'), volume('ssd', '6Gi', {}, { disk: 'ssd' })), 'ssd')
})

test('a volume reserved for the claim comes first, and is the only one while binding waits', () => {
  const reserved = volume('mine', '50Gi', { claimRef: { name: 'data', namespace: 'default' } })
  assert.equal(matchingVolume(claim(), [volume('fit', '5Gi'), reserved], false)?.metadata.name, 'mine')
  assert.equal(matchingVolume(claim(), [volume('fit', '5Gi')], true), undefined)
})

test('a local volume is a directory of its own, and only such a directory is ever removed', () => {
  const wanted = claim()
  const storageClass = object('StorageClass', 'local', { reclaimPolicy: 'Delete' })
  const made = localVolume(wanted, storageClass, 'n1', '/volumes') as StoredObject
  assert.equal(made.spec.local.path, `/volumes/pvc-${wanted.metadata.uid}_default_data`)
  assert.equal(made.spec.claimRef.uid, wanted.metadata.uid)
  assert.equal(localVolumePath(made, '/volumes'), made.spec.local.path)
  for (const path of ['/etc', '/volumes', '/volumes/', '/volumes/..', '/volumes/a/../../etc', '/volumesx/a', undefined])
    assert.equal(localVolumePath({ ...made, spec: { ...made.spec, local: { path } } }, '/volumes'), undefined)
  assert.equal(localVolumePath(volume('v', '1Gi', { local: { path: '/volumes/a' } }), '/volumes'), undefined)
})

test('the newest default class counts', () => {
  const marked = (name: string, time: string) =>
    object('StorageClass', name, {
      metadata: { creationTimestamp: time, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    })
  const classes = [
    marked('a', '2026-01-01T00:00:00Z'),
    marked('b', '2026-01-02T00:00:00Z'),
    object('StorageClass', 'c'),
  ]
  assert.equal(defaultStorageClass(classes)?.metadata.name, 'b')
  assert.equal(defaultStorageClass([]), undefined)
})

test('what uses a claim', () => {
  const volumes = [
    { name: 'a', persistentVolumeClaim: { claimName: 'data' } },
    { name: 'tmp', ephemeral: {} },
  ]
  const pod = object('Pod', 'p', { spec: { nodeName: 'n1', volumes }, status: { phase: 'Running' } })
  assert.deepEqual(claimsOfPod(pod), ['data', 'p-tmp'])
  assert.equal(usesClaim(pod, 'data'), true)
  assert.equal(usesClaim({ ...pod, status: { phase: 'Succeeded' } }, 'data'), true)
  const metadata = { ...pod.metadata, deletionTimestamp: 'x', deletionGracePeriodSeconds: 0 }
  assert.deepEqual(
    ['data', 'p-tmp'].map((name) => usesClaim({ ...pod, metadata }, name)),
    [true, false],
  )
  assert.equal(usesClaim({ ...pod, spec: { volumes } }, 'data'), false)
  const machine = object('VirtualMachineInstance', 'm', {
    spec: { volumes: [volumes[0], { dataVolume: { name: 'dv' } }] },
  })
  assert.deepEqual(claimsOfMachine(machine), ['data', 'dv'])
  assert.equal(usesClaim(machine, 'dv'), true)
})

test('a protecting finalizer comes with the object and goes with the last user', () => {
  const finalizers = ['f']
  const table: [object, boolean, string | undefined][] = [
    [{}, false, 'add'],
    [{ finalizers }, true, undefined],
    [{ finalizers, deletionTimestamp: 'x' }, true, undefined],
    [{ finalizers, deletionTimestamp: 'x' }, false, 'remove'],
    [{ deletionTimestamp: 'x' }, false, undefined],
  ]
  for (const [metadata, isInUse, expected] of table)
    assert.equal(protection(object('PersistentVolumeClaim', 'c', { metadata }), 'f', isInUse), expected)
})
