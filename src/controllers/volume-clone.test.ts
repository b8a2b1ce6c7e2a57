// Claims that are copies of other claims, with a host that only pretends.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { filledAnnotation, filledFromAnnotation } from '../kinds/snapshot/memory.ts'
import { cloningFinalizer } from '../kinds/storage/volume-sources.ts'
import { startTestPlatform, type TestPlatform } from './platform.fixture.ts'
import { persistentVolumeClaims, persistentVolumes, storageClasses } from './resources.ts'
import { object } from './sample.fixture.ts'
import { clonedClaim, clonePlan } from './volume-clone-plan.ts'
import { sourceRefusal } from './volume-restore-plan.ts'

const claim = (name: string, spec: object = {}): ApiObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace: 'default', annotations: { 'volume.kubernetes.io/selected-node': 'node-1' } },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
})

const clone = (name: string, from: string, spec: object = {}): ApiObject =>
  claim(name, { dataSource: { kind: 'PersistentVolumeClaim', name: from }, ...spec })

const isBound = (one: StoredObject | undefined): boolean => one?.status?.phase === 'Bound'
const isHeld = (one: StoredObject | undefined): boolean => Boolean(one?.metadata.finalizers?.includes(cloningFinalizer))
const isFree = (one: StoredObject | undefined): boolean => one !== undefined && !isHeld(one)

async function volumeFor({ untilAll }: TestPlatform, name: string): Promise<StoredObject> {
  const isIts = (one: StoredObject) => one.spec.claimRef?.name === name
  return (await untilAll(persistentVolumes, (all) => all.some(isIts), `volume of ${name}`)).find(isIts)!
}

/** What the host does with a volume. */
async function fill(platform: TestPlatform, name: string): Promise<void> {
  const { metadata } = await volumeFor(platform, name)
  const filled = { metadata: { annotations: { [filledAnnotation]: 'true' } } }
  await platform.client.patch(persistentVolumes, metadata.name, undefined, 'merge', filled)
}

test('a claim is filled from another one before it is bound, and that one stays until then', async (t) => {
  const platform = await startTestPlatform()
  t.after(platform.stop)
  const { client, until, untilEvents } = platform
  await client.create(persistentVolumeClaims, clone('copy', 'data'))
  await untilEvents('ProvisioningFailed', [
    /^failed to provision volume with StorageClass "local": error getting handle for DataSource Type PersistentVolumeClaim by Name data: error getting PVC data \(namespace "default"\)/,
  ])
  await client.create(persistentVolumeClaims, claim('data'))
  const made = await volumeFor(platform, 'copy')
  const source = await until(persistentVolumeClaims, 'default/data', isHeld)
  assert.equal(made.metadata.annotations![filledFromAnnotation], `volume/${source.spec.volumeName}`)
  await untilEvents('Provisioning', [/volume for claim "default\/copy"/])
  assert.equal((await client.get(persistentVolumeClaims, 'copy', 'default')).status!.phase, 'Pending')

  await client.delete(persistentVolumeClaims, 'data', 'default')
  await client.create(persistentVolumeClaims, clone('late', 'data'))
  await untilEvents('ProvisioningFailed', [/the PVC DataSource data is currently being deleted: name another one/])
  await fill(platform, 'copy')
  const bound = await until(persistentVolumeClaims, 'default/copy', isBound)
  assert.equal(bound.spec.volumeName, made.metadata.name)
  assert.deepEqual(bound.spec.dataSourceRef, bound.spec.dataSource)
  await untilEvents('ProvisioningSucceeded', [`Successfully provisioned volume ${made.metadata.name}`])
  await until(persistentVolumeClaims, 'default/data', (one) => one === undefined)
})

test('a claim is let go of when the last copy of it is there, or is not wanted any more', async (t) => {
  const platform = await startTestPlatform()
  t.after(platform.stop)
  const { client, until } = platform
  await client.create(persistentVolumeClaims, claim('data'))
  for (const name of ['a', 'b']) await client.create(persistentVolumeClaims, clone(name, 'data'))
  for (const name of ['a', 'b']) await volumeFor(platform, name)
  await fill(platform, 'a')
  await until(persistentVolumeClaims, 'default/a', isBound)
  await until(persistentVolumeClaims, 'default/data', isHeld)
  await client.delete(persistentVolumeClaims, 'b', 'default')
  await until(persistentVolumeClaims, 'default/data', isFree)

  // Its volume stays by its policy, and is never full.
  const kept = { apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass', metadata: { name: 'kept' } }
  await client.create(storageClasses, { ...kept, provisioner: 'tandem.dev/local', reclaimPolicy: 'Retain' })
  await client.create(persistentVolumeClaims, clone('c', 'data', { storageClassName: 'kept' }))
  const { metadata } = await volumeFor(platform, 'c')
  await until(persistentVolumeClaims, 'default/data', isHeld)
  await client.delete(persistentVolumeClaims, 'c', 'default')
  await until(persistentVolumeClaims, 'default/data', isFree)
  await until(persistentVolumes, metadata.name, (one) => one?.status?.phase === 'Released')
})

test('a finalizer that the end of Tandem left is taken away', async (t) => {
  const platform = await startTestPlatform()
  t.after(platform.stop)
  const { client, until } = platform
  const left = claim('data')
  left.metadata.finalizers = [cloningFinalizer]
  await client.create(persistentVolumeClaims, left)
  await until(persistentVolumeClaims, 'default/data', (one) => isBound(one) && isFree(one))
})

test('a clone of a clone waits for it', async (t) => {
  const platform = await startTestPlatform()
  t.after(platform.stop)
  const { client, until, untilEvents } = platform
  await client.create(persistentVolumeClaims, claim('data'))
  await client.create(persistentVolumeClaims, clone('second', 'first'))
  await client.create(persistentVolumeClaims, clone('first', 'data'))
  await volumeFor(platform, 'first')
  await untilEvents('ProvisioningFailed', [/DataSource first must have a status of Bound\. {2}Got Pending/])
  await fill(platform, 'first')
  await fill(platform, 'second')
  await until(persistentVolumeClaims, 'default/second', isBound)
})

const bound = (name: string, fields: any = {}) =>
  object('PersistentVolumeClaim', name, {
    metadata: { uid: name, ...fields.metadata },
    spec: { volumeName: 'v', storageClassName: 'local', resources: { requests: { storage: '2Gi' } }, ...fields.spec },
    status: { phase: 'Bound', ...fields.status },
  })

const volume = (fields: any = {}) =>
  object('PersistentVolume', 'v', {
    metadata: { annotations: { 'pv.kubernetes.io/provisioned-by': 'tandem.dev/local' }, ...fields.metadata },
    spec: {
      capacity: { storage: '2Gi' },
      claimRef: { namespace: 'default', name: 'data', uid: 'data' },
      ...fields.spec,
    },
    status: { phase: 'Bound', ...fields.status },
  })

const wanted = (spec: object = {}) =>
  object(
    'PersistentVolumeClaim',
    'copy',
    clone('copy', 'data', { resources: { requests: { storage: '2Gi' } }, ...spec }),
  )

test('which claim can be cloned into which', () => {
  const plan = (
    source: StoredObject | undefined,
    made: StoredObject | undefined = volume(),
    spec: object = {},
  ): string => {
    const found = clonePlan(wanted(spec), source, () => made)
    return 'problem' in found ? found.problem : found.filledFrom
  }
  assert.equal(plan(bound('data')), 'volume/v')
  assert.equal(plan(bound('data'), volume(), { resources: { requests: { storage: '3Gi' } } }), 'volume/v')
  const refused: [RegExp, StoredObject | undefined, StoredObject?, object?][] = [
    [
      /^error getting handle for DataSource Type PersistentVolumeClaim by Name data: error getting PVC data /,
      undefined,
    ],
    [/must have a status of Bound\. {2}Got Lost: /, bound('data', { status: { phase: 'Lost' } })],
    [/is currently being deleted/, bound('data', { metadata: { deletionTimestamp: 'now' } })],
    [/the source PVC \(data\) storageclass cannot be empty/, bound('data', { spec: { storageClassName: undefined } })],
    [
      /is being filled itself/,
      bound('data', { metadata: { annotations: { 'cdi.kubevirt.io/storage.upload.target': '' } } }),
    ],
    [
      /requested 1073741824 but source is 2147483648: ask for 2147483648 at least/,
      bound('data'),
      volume(),
      { resources: { requests: { storage: '1Gi' } } },
    ],
    // It has asked for more, and has not got it yet; and it has got more than it asked for.
    [/but source is 3221225472/, bound('data', { spec: { resources: { requests: { storage: '3Gi' } } } })],
    [/but source is 5368709120/, bound('data'), volume({ spec: { capacity: { storage: '5Gi' } } })],
    [/not bound or invalid: volume v is none of provisioner/, bound('data'), volume({ metadata: { annotations: {} } })],
    [/not bound or invalid: volume v is not bound to data/, bound('data', { metadata: { uid: 'other' } })],
    [/not bound or invalid: volume v is not bound/, bound('data'), volume({ status: { phase: 'Released' } })],
    [/Source is Filesystem, but new PVC requested Block: /, bound('data'), volume(), { volumeMode: 'Block' }],
    [/Source is Block, but new PVC requested Filesystem: /, bound('data'), volume({ spec: { volumeMode: 'Block' } })],
  ]
  for (const [text, source, made, spec] of refused) assert.match(plan(source, made ?? volume(), spec), text)
  assert.match((clonePlan(wanted(), bound('data'), () => undefined) as any).problem, /persistentvolume "v" not found/)
})

test('only a claim of the same namespace is cloned', () => {
  const from = (dataSourceRef: object) => wanted({ dataSource: undefined, dataSourceRef })
  const reference = { kind: 'PersistentVolumeClaim', name: 'data' }
  const own = from({ ...reference, namespace: 'default' })
  assert.equal(clonedClaim(own), 'default/data')
  assert.equal(sourceRefusal(own), undefined)
  const other = from({ ...reference, namespace: 'other' })
  assert.equal(clonedClaim(other), undefined)
  assert.match(sourceRefusal(other)!, /from the claim's own namespace only/)
  assert.match(sourceRefusal(from({ ...reference, apiGroup: 'example.com' }))!, /and VolumeSnapshots only: name one/)
})
