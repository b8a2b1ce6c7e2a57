// Snapshots of volumes and claims that are filled from them, with a host that only pretends.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { filledAnnotation, filledFromAnnotation } from '../kinds/snapshot/memory.ts'
import { asSourceFinalizer, boundFinalizer, claimFinalizer, contentFinalizer } from '../kinds/volumesnapshot/names.ts'
import { startTestPlatform, type TestPlatform } from './platform.fixture.ts'
import {
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeSnapshotClasses,
  volumeSnapshotContents,
  volumeSnapshots,
} from './resources.ts'
import { defaultClassFor, snapshotStatus } from './volume-snapshot-plan.ts'

const gibibyte = 2 ** 30
const apiVersion = 'snapshot.storage.k8s.io/v1'

const claim = (name: string, spec: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: 'default', annotations: { 'volume.kubernetes.io/selected-node': 'node-1' } },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
})

const snapshot = (name: string, spec: object = {}): ApiObject => ({
  apiVersion,
  kind: 'VolumeSnapshot',
  metadata: { name, namespace: 'default' },
  spec: { source: { persistentVolumeClaimName: 'data' }, ...spec },
})

const restored = (name: string, from: string, storage = '1Gi', more: object = {}): ApiObject =>
  claim(name, {
    resources: { requests: { storage } },
    dataSource: { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: from },
    ...more,
  })

const isBound = (object: StoredObject | undefined): boolean => object?.status?.phase === 'Bound'
const isGone = (object: StoredObject | undefined): boolean => object === undefined
const isReady = (object: StoredObject | undefined): boolean => object?.status?.readyToUse === true
const fails = (text: RegExp) => (object: StoredObject | undefined) => text.test(object?.status?.error?.message ?? '')

const takenAt = 1_767_225_600_123

/** What the host does with a content. */
async function take({ client, until }: TestPlatform, name: string): Promise<StoredObject> {
  const content = await until(volumeSnapshotContents, name, Boolean)
  const snapshotHandle = content.spec.source.snapshotHandle ?? `snapshot-${content.spec.volumeSnapshotRef.uid}`
  return client.updateStatus(volumeSnapshotContents, {
    ...content,
    status: { snapshotHandle, creationTime: takenAt * 1_000_000, restoreSize: gibibyte, readyToUse: true },
  })
}

async function taken(platform: TestPlatform, name = 'monday', more: object = {}): Promise<StoredObject> {
  const made = await platform.client.create(volumeSnapshots, snapshot(name, more))
  await take(platform, `snapcontent-${made.metadata.uid}`)
  return platform.until(volumeSnapshots, `default/${name}`, isReady)
}

async function withClaim(): Promise<TestPlatform> {
  const platform = await startTestPlatform()
  await platform.client.create(persistentVolumeClaims, claim('data'))
  await platform.until(persistentVolumeClaims, 'default/data', isBound)
  return platform
}

test('a snapshot of a claim gets a content, and tells what the content tells', async (t) => {
  const platform = await withClaim()
  t.after(platform.stop)
  const { client, until, untilEvents } = platform
  const { metadata } = await client.create(volumeSnapshots, snapshot('monday'))
  const name = `snapcontent-${metadata.uid}`
  const content = await until(volumeSnapshotContents, name, Boolean)
  const { volumeName } = (await until(persistentVolumeClaims, 'default/data', Boolean)).spec
  const { volumeSnapshotRef, ...spec } = content.spec
  assert.deepEqual(spec, {
    source: { volumeHandle: volumeName },
    driver: 'tandem.dev/local',
    deletionPolicy: 'Delete',
    volumeSnapshotClassName: 'local',
    sourceVolumeMode: 'Filesystem',
  })
  assert.deepEqual(content.metadata.finalizers, [contentFinalizer])
  assert.equal(volumeSnapshotRef.uid, metadata.uid)
  await until(persistentVolumeClaims, 'default/data', (one) => one!.metadata.finalizers!.includes(claimFinalizer))
  await take(platform, name)
  const { status, spec: own, metadata: now } = await until(volumeSnapshots, 'default/monday', isReady)
  assert.deepEqual(status, {
    boundVolumeSnapshotContentName: name,
    creationTime: '2026-01-01T00:00:00Z',
    readyToUse: true,
    restoreSize: '1Gi',
  })
  assert.equal(own.volumeSnapshotClassName, 'local')
  assert.deepEqual(now.finalizers?.sort(), [asSourceFinalizer, boundFinalizer].sort())
  await until(persistentVolumeClaims, 'default/data', (one) => !one!.metadata.finalizers!.includes(claimFinalizer))
  await untilEvents('CreatingSnapshot', ['Waiting for a snapshot default/monday to be created by the CSI driver.'])
  await untilEvents('SnapshotCreated', ['Snapshot default/monday was successfully created by the CSI driver.'])
  await untilEvents('SnapshotReady', ['Snapshot default/monday is ready to use.'])
})

test('what keeps a snapshot from being taken is told, and it is taken when that is mended', async (t) => {
  const platform = await startTestPlatform()
  t.after(platform.stop)
  const { client, until, untilEvents } = platform
  await client.create(volumeSnapshots, snapshot('monday', { volumeSnapshotClassName: 'none' }))
  await client.create(volumeSnapshots, snapshot('tuesday'))
  await until(volumeSnapshots, 'default/monday', fails(/class with error volumesnapshotclass.* "none" not found/))
  await until(volumeSnapshots, 'default/tuesday', fails(/failed to retrieve PVC data from the lister/))
  await untilEvents('GetSnapshotClassFailed', [/"none" not found/])
  await client.create(persistentVolumeClaims, claim('data'))
  const class_ = { apiVersion, kind: 'VolumeSnapshotClass', deletionPolicy: 'Retain' }
  await client.create(volumeSnapshotClasses, { ...class_, metadata: { name: 'none' }, driver: 'tandem.dev/local' })
  for (const name of ['monday', 'tuesday']) {
    const { metadata } = await client.get(volumeSnapshots, name, 'default')
    await take(platform, `snapcontent-${metadata.uid}`)
    const { status } = await until(volumeSnapshots, `default/${name}`, isReady)
    assert.equal(status?.error, undefined)
  }
  await client.create(volumeSnapshotClasses, { ...class_, metadata: { name: 'other' }, driver: 'disks.example.com' })
  await client.create(volumeSnapshots, snapshot('friday', { volumeSnapshotClassName: 'other' }))
  await until(volumeSnapshots, 'default/friday', fails(/is of driver disks.example.com/))
})

test('a snapshot that was never taken does not hold its claim when it is gone', async (t) => {
  const platform = await withClaim()
  t.after(platform.stop)
  const { client, until } = platform
  await client.create(volumeSnapshots, snapshot('monday', { volumeSnapshotClassName: 'none' }))
  await until(persistentVolumeClaims, 'default/data', (one) => one!.metadata.finalizers!.includes(claimFinalizer))
  await client.delete(volumeSnapshots, 'monday', 'default')
  await until(volumeSnapshots, 'default/monday', isGone)
  await until(persistentVolumeClaims, 'default/data', (one) => !one!.metadata.finalizers!.includes(claimFinalizer))
})

test('a content goes with its snapshot, or stays, as its policy says', async (t) => {
  const platform = await withClaim()
  t.after(platform.stop)
  const { client, until } = platform
  const released = async (name: string) => {
    // The host takes its finalizer away when the data is gone.
    await until(volumeSnapshotContents, name, (one) => one?.metadata.deletionTimestamp !== undefined)
    await client.patch(volumeSnapshotContents, name, undefined, 'merge', { metadata: { finalizers: null } })
  }
  const monday = await taken(platform)
  await client.delete(volumeSnapshots, 'monday', 'default')
  const name = `snapcontent-${monday.metadata.uid}`
  await released(name)
  await until(volumeSnapshots, 'default/monday', isGone)

  await client.create(volumeSnapshotClasses, {
    apiVersion,
    kind: 'VolumeSnapshotClass',
    metadata: { name: 'keep' },
    driver: 'tandem.dev/local',
    deletionPolicy: 'Retain',
  })
  const tuesday = await taken(platform, 'tuesday', { volumeSnapshotClassName: 'keep' })
  const kept = `snapcontent-${tuesday.metadata.uid}`
  await client.delete(volumeSnapshots, 'tuesday', 'default')
  await until(volumeSnapshots, 'default/tuesday', isGone)
  const content = await until(volumeSnapshotContents, kept, Boolean)
  assert.equal(content.metadata.deletionTimestamp, undefined)
  assert.equal(content.metadata.annotations?.['snapshot.storage.kubernetes.io/volumesnapshot-being-deleted'], 'yes')
})

test('a snapshot that is there already is bound by name, and only where both name each other', async (t) => {
  const platform = await startTestPlatform()
  t.after(platform.stop)
  const { client, until } = platform
  const content = (name: string, reference: object, source: object) => ({
    apiVersion,
    kind: 'VolumeSnapshotContent',
    metadata: { name },
    spec: { deletionPolicy: 'Retain', driver: 'tandem.dev/local', source, volumeSnapshotRef: reference },
  })
  const handle = { snapshotHandle: 'snapshot-0f8f8a2e-53f0-4d43-b1bd-27f4d0f51d0c' }
  await client.create(volumeSnapshotContents, content('old', { name: 'again', namespace: 'default' }, handle))
  await client.create(volumeSnapshotContents, content('theirs', { name: 'again', namespace: 'other' }, handle))
  const from = (volumeSnapshotContentName: string) => ({ source: { volumeSnapshotContentName } })
  await client.create(volumeSnapshots, snapshot('again', from('old')))
  const { metadata } = await until(volumeSnapshots, 'default/again', (one) => one?.status !== undefined)
  const bound = await until(volumeSnapshotContents, 'old', (one) => Boolean(one?.spec.volumeSnapshotRef.uid))
  assert.equal(bound.spec.volumeSnapshotRef.uid, metadata.uid)
  await take(platform, 'old')
  const ready = await until(volumeSnapshots, 'default/again', isReady)
  assert.equal(ready.status!.boundVolumeSnapshotContentName, 'old')

  await client.create(volumeSnapshots, snapshot('stolen', from('theirs')))
  await until(volumeSnapshots, 'default/stolen', fails(/\[theirs\] is bound to a different snapshot/))
  await client.create(volumeSnapshots, snapshot('early', from('later')))
  await until(volumeSnapshots, 'default/early', fails(/VolumeSnapshotContent is missing/))
})

test('a claim is filled from a snapshot before it is bound, and the snapshot stays until then', async (t) => {
  const platform = await withClaim()
  t.after(platform.stop)
  const { client, until, untilAll, untilEvents } = platform
  await client.create(persistentVolumeClaims, restored('early', 'monday'))
  await untilEvents('ProvisioningFailed', [/VolumeSnapshot by Name monday: error getting snapshot monday/])
  const monday = await taken(platform)
  const [made] = (
    await untilAll(persistentVolumes, (all) => all.some((one) => one.spec.claimRef?.name === 'early'))
  ).filter((one) => one.spec.claimRef.name === 'early')
  assert.equal(made!.metadata.annotations![filledFromAnnotation], `snapshot-${monday.metadata.uid}`)
  await untilEvents('Provisioning', [/volume for claim "default\/early"/])
  assert.equal((await client.get(persistentVolumeClaims, 'early', 'default')).status!.phase, 'Pending')

  await client.delete(volumeSnapshots, 'monday', 'default')
  await untilEvents('SnapshotDeletePending', ['Snapshot is being used to restore a PVC'])
  const metadata = { annotations: { [filledAnnotation]: 'true' } }
  await client.patch(persistentVolumes, made!.metadata.name, undefined, 'merge', { metadata })
  const bound = await until(persistentVolumeClaims, 'default/early', isBound)
  assert.equal(bound.spec.volumeName, made!.metadata.name)
  assert.deepEqual(bound.spec.dataSourceRef, bound.spec.dataSource)
  await untilEvents('ProvisioningSucceeded', [`Successfully provisioned volume ${made!.metadata.name}`])
  await until(
    volumeSnapshotContents,
    `snapcontent-${monday.metadata.uid}`,
    (one) => one?.metadata.deletionTimestamp !== undefined,
  )
})

test('a claim that a snapshot does not fit says why', async (t) => {
  const platform = await withClaim()
  t.after(platform.stop)
  const { client, untilEvents } = platform
  await taken(platform)
  await client.create(persistentVolumeClaims, restored('small', 'monday', '512Mi'))
  await client.create(persistentVolumeClaims, restored('raw', 'monday', '1Gi', { volumeMode: 'Block' }))
  const other = { dataSource: { apiGroup: 'example.com', kind: 'Tape', name: 'data' } }
  await client.create(persistentVolumeClaims, restored('other', 'monday', '1Gi', other))
  await untilEvents('ProvisioningFailed', [
    /requested volume size 536870912 is less than the size 1073741824 for the source snapshot monday: ask for 1073741824/,
    /default\/raw modifies the mode of the source volume.*allow-volume-mode-change annotation is not present/,
    /fills volumes from PersistentVolumeClaims and VolumeSnapshots only: name one of these/,
  ])
})

test('a Pod waits for the claim that is restored', async (t) => {
  const platform = await withClaim()
  t.after(platform.stop)
  const { client, until, untilAll } = platform
  await taken(platform)
  await client.create(persistentVolumeClaims, restored('copy', 'monday'))
  await client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'reader', namespace: 'default' },
    spec: {
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'copy' } }],
    },
  })
  const all = await untilAll(persistentVolumes, (found) => found.some((one) => one.spec.claimRef?.name === 'copy'))
  const volume = all.find((one) => one.spec.claimRef?.name === 'copy')!
  const isScheduled = (one: StoredObject | undefined) => Boolean(one?.spec.nodeName)
  assert.ok(!isScheduled(platform.informers.informer(pods).get('default/reader')))
  const metadata = { annotations: { [filledAnnotation]: 'true' } }
  await client.patch(persistentVolumes, volume.metadata.name, undefined, 'merge', { metadata })
  await until(pods, 'default/reader', isScheduled)
})

const object = (fields: object) => fields as unknown as StoredObject

test('one default class for a driver, no more', () => {
  const marked = (name: string, driver = 'a') =>
    object({ metadata: { name, annotations: { 'snapshot.storage.kubernetes.io/is-default-class': 'true' } }, driver })
  const said = (classes: StoredObject[]) => (defaultClassFor(classes, 'a') as { message: string }).message
  const own = marked('x')
  assert.equal(defaultClassFor([own, marked('y', 'b')], 'a'), own)
  assert.match(said([]), /cannot find default snapshot class: name one in spec.volumeSnapshotClassName/)
  assert.match(said([marked('x'), marked('z')]), /2 default snapshot classes were found/)
})

test("an error of the content is the snapshot's, and goes with it", () => {
  const error = { message: 'no space', time: '2026-01-01T00:00:00Z' }
  const of = (status?: object) => object({ metadata: { name: 's', namespace: 'd' }, spec: {}, status })
  const broken = snapshotStatus(of(), object({ metadata: { name: 'c' }, status: { readyToUse: false, error } }))
  assert.deepEqual(broken.status, { boundVolumeSnapshotContentName: 'c', readyToUse: false, error })
  const mended = snapshotStatus(of(broken.status), object({ metadata: { name: 'c' }, status: { readyToUse: true } }))
  assert.deepEqual(mended.status, { boundVolumeSnapshotContentName: 'c', readyToUse: true })
})
