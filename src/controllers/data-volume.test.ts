// DataVolumes: the claim that is made of one, and what is told of the import into it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import {
  fatalError,
  podPhase,
  podReady,
  podRestarts,
  populatedFor,
  populatorProgress,
  runningCondition,
  runningMessage,
  runningReason,
} from '../kinds/cdi/annotations.ts'
import { resolveSource } from '../kinds/cdi/clone-source.ts'
import { planClaim, withOverhead } from './data-volume-claim.ts'
import { snapshotOrigin } from './data-volume-snapshot.ts'
import { dataVolumeStatus } from './data-volume-status.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const http = { http: { url: 'https://example.com/disk.qcow2' } }

const object = (kind: string, spec: unknown, rest: object = {}): StoredObject =>
  ({
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind,
    metadata: { name: 'disk', namespace: 'default', uid: 'u1', resourceVersion: '1', creationTimestamp: '' },
    spec,
    ...rest,
  }) as unknown as StoredObject

const volume = (spec: object, status?: object) => object('DataVolume', spec, status && { status })
const storage = (size: string, rest: object = {}) => ({
  storage: { resources: { requests: { storage: size } }, ...rest },
})

function claim(annotations: Record<string, string>, phase = 'Bound'): StoredObject {
  const made = object('PersistentVolumeClaim', {}, { status: { phase } })
  made.metadata.annotations = annotations
  return made
}

const local = object('StorageClass', undefined, { provisioner: 'tandem.dev/local' })
local.metadata = {
  ...local.metadata,
  name: 'local',
  annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
}
const profile = object(
  'StorageProfile',
  {},
  {
    status: { claimPropertySets: [{ accessModes: ['ReadWriteOnce'], volumeMode: 'Filesystem' }] },
  },
)
const facts = { classes: [local], profile: (name: string) => (name === 'local' ? profile : undefined) }

function planned(spec: object, more: object = {}): any {
  const plan = planClaim({ volume: volume(spec), ...facts, ...more })
  assert.ok('claim' in plan, JSON.stringify(plan))
  return plan.claim
}

test('spec.pvc is taken as it is', () => {
  const pvc = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } }
  const made = planned({ source: http, pvc })
  assert.deepEqual(made.spec, pvc)
  assert.equal(made.metadata.ownerReferences[0].uid, 'u1')
  assert.equal(made.metadata.annotations['cdi.kubevirt.io/storage.contentType'], 'kubevirt')
})

test('spec.storage is completed from the StorageProfile, with room for the file system', () => {
  const { spec } = planned({ source: http, ...storage('1Gi') })
  assert.equal(spec.storageClassName, 'local')
  assert.deepEqual(spec.accessModes, ['ReadWriteOnce'])
  assert.equal(spec.volumeMode, 'Filesystem')
  assert.equal(spec.resources.requests.storage, String(withOverhead(2 ** 30)))
})

test('a disk of the asked size fits into the claim whatever the size', () => {
  for (let size = 1; size < 4000; size += 37) {
    const wanted = size * 1024 * 1024
    const room = Math.floor((withOverhead(wanted) * 0.94) / 2 ** 20) * 2 ** 20
    assert.ok(room >= wanted && room - wanted < 3 * 2 ** 20, `${size} MiB`)
  }
})

test('a class without a profile needs access modes', () => {
  const plan = planClaim({ volume: volume({ source: http, ...storage('1Gi', { storageClassName: 'nfs' }) }), ...facts })
  assert.deepEqual(plan, {
    problem: { reason: 'ErrClaimNotValid', message: 'no accessMode specified in StorageProfile nfs' },
  })
})

test('a clone is as large as its source, or larger', () => {
  const source = object('PersistentVolumeClaim', {
    resources: { requests: { storage: '1Gi' } },
    volumeMode: 'Filesystem',
  })
  const from = { source: { pvc: { namespace: 'default', name: 'golden' } } }
  const sizeOf = (spec: object) => planned({ ...from, ...spec }, { source }).spec.resources.requests.storage
  assert.equal(sizeOf({ storage: {} }), '1Gi')
  assert.equal(sizeOf(storage('1Gi')), String(withOverhead(2 ** 30)))
  const pvc = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '500Mi' } } }
  const plan = planClaim({ volume: volume({ ...from, pvc }), ...facts, source })
  assert.deepEqual(plan, {
    problem: {
      reason: 'CloneValidationFailed',
      message:
        "The clone doesn't meet the validation requirements: target resources requests storage size is smaller than the source",
    },
  })
})

test('the disk of a block volume is all of it: a clone beside a file system is larger', () => {
  const source = object('PersistentVolumeClaim', { resources: { requests: { storage: '1Gi' } }, volumeMode: 'Block' })
  const from = { source: { pvc: { namespace: 'default', name: 'golden' } } }
  const accessModes = ['ReadWriteOnce']
  const sizeOf = (storage: object) =>
    planned({ ...from, storage: { accessModes, ...storage } }, { source }).spec.resources.requests.storage
  assert.equal(sizeOf({ volumeMode: 'Block' }), '1Gi')
  assert.equal(sizeOf({ volumeMode: 'Filesystem' }), String(withOverhead(2 ** 30)))
  const asked = { resources: { requests: { storage: '2Gi' } } }
  assert.equal(sizeOf({ volumeMode: 'Block', ...asked }), '2Gi')
  assert.equal(sizeOf({ volumeMode: 'Filesystem', ...asked }), String(withOverhead(2 ** 31)))
})

const bound = object('VolumeSnapshotContent', {
  volumeSnapshotRef: { name: 'disk', namespace: 'default', uid: 'u1' },
  driver: 'tandem.dev/local',
  sourceVolumeMode: 'Filesystem',
})
bound.metadata = { ...bound.metadata, name: 'content' }
bound.status = { snapshotHandle: 'snapshot-1', readyToUse: true, restoreSize: 2 ** 30 }
const taken = { boundVolumeSnapshotContentName: 'content', readyToUse: true, restoreSize: '1Gi' }
const snapshotSource = (status?: object) =>
  snapshotOrigin('monday', object('VolumeSnapshot', {}, status && { status }), () => bound)

test('what is made from a snapshot is as large as it says, or larger', () => {
  const source = snapshotSource(taken) as StoredObject
  const from = { source: { snapshot: { namespace: 'default', name: 'monday' } } }
  const sizeOf = (spec: object) => planned({ ...from, ...spec }, { source }).spec.resources.requests.storage
  assert.equal(sizeOf({ storage: {} }), '1Gi')
  assert.equal(sizeOf(storage('2Gi')), String(withOverhead(2 ** 31)))
  const pvc = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '500Mi' } } }
  const plan = planClaim({ volume: volume({ ...from, pvc }), ...facts, source })
  assert.match(JSON.stringify(plan), /CloneValidationFailed.*storage size is smaller than the source/)
})

test('a snapshot that cannot be used says why', () => {
  const said = (status?: object) => (snapshotSource(status) as { message: string }).message
  assert.match(said(), /no status on source snapshot yet/)
  assert.match(said({ ...taken, error: { message: 'no space' } }), /snapshot in error state with msg: no space/)
  assert.match(said({ ...taken, readyToUse: false }), /snapshot monday is not Ready/)
  assert.match(said({ ...taken, boundVolumeSnapshotContentName: 'other' }), /snapshot monday not bound/)
  assert.deepEqual(
    snapshotOrigin('gone', undefined, () => undefined),
    {
      type: 'Warning',
      reason: 'CloneWithoutSource',
      message: "The source snapshot gone doesn't exist",
    },
  )
})

test('a DataSource leads to a claim, by one other DataSource at most', () => {
  const of = (source: object) => object('DataSource', { source })
  const sources: Record<string, StoredObject> = {
    'golden/debian': of({ pvc: { name: 'debian-12' } }),
    'default/mine': of({ dataSource: { name: 'debian', namespace: 'golden' } }),
    'default/empty': of({}),
    'golden/kept': of({ snapshot: { name: 'monday' } }),
  }
  for (const [key, made] of Object.entries(sources)) made.metadata.namespace = key.split('/')[0]!
  const resolve = (sourceRef: object) => resolveSource(volume({ sourceRef, storage: {} }), (key) => sources[key])
  assert.deepEqual(resolve({ kind: 'DataSource', name: 'debian', namespace: 'golden' }), {
    namespace: 'golden',
    name: 'debian-12',
  })
  assert.deepEqual(resolve({ kind: 'DataSource', name: 'mine' }), { namespace: 'golden', name: 'debian-12' })
  assert.deepEqual(resolve({ kind: 'DataSource', name: 'kept', namespace: 'golden' }), {
    namespace: 'golden',
    name: 'monday',
    isSnapshot: true,
  })
  assert.ok('problem' in resolve({ kind: 'DataSource', name: 'empty' })!)
  assert.ok('problem' in resolve({ kind: 'DataSource', name: 'none' })!)
})

const phases: [string, object, StoredObject | undefined, string][] = [
  ['no claim', http, undefined, 'Pending'],
  ['unbound', http, claim({}, 'Pending'), 'WaitForFirstConsumer'],
  ['bound', http, claim({}), 'ImportScheduled'],
  ['at work', http, claim({ [podPhase]: 'Running' }), 'ImportInProgress'],
  ['done', http, claim({ [podPhase]: 'Succeeded' }), 'Succeeded'],
  ['hopeless', http, claim({ [podPhase]: 'Failed', [fatalError]: 'true' }), 'Failed'],
  ['cloning', { pvc: { namespace: 'a', name: 'b' } }, claim({ [podPhase]: 'Running' }), 'CloneInProgress'],
  ['to be uploaded', { upload: {} }, claim({ [podPhase]: 'Running' }), 'UploadScheduled'],
  ['ready', { upload: {} }, claim({ [podPhase]: 'Running', [podReady]: 'true' }), 'UploadReady'],
  ['adopted', http, claim({ [populatedFor]: 'disk' }), 'Succeeded'],
  ['lost', http, claim({}, 'Lost'), 'Failed'],
]

for (const [what, source, made, phase] of phases)
  test(`phase ${phase}: ${what}`, () => {
    const { status } = dataVolumeStatus({
      volume: volume({ source, ...storage('1Gi') }),
      claim: made,
      isDelayed: true,
      now,
    })
    assert.equal(status.phase, phase)
  })

test('data from a snapshot has a phase of its own', () => {
  const { status, events } = dataVolumeStatus({
    volume: volume({ source: { snapshot: { namespace: 'a', name: 'b' } }, storage: {} }),
    claim: claim({ [podPhase]: 'Running' }),
    source: 'a/b',
    fromSnapshot: true,
    isDelayed: false,
    now,
  })
  assert.equal(status.phase, 'CloneFromSnapshotSourceInProgress')
  assert.equal(events[0]?.message, 'Creating PVC from snapshot source is in progress (for snapshot a/b)')
})

test('an import that failed shows why, and is told of once', () => {
  const message = 'Unable to process data: expected status code 200, got 404. Status: 404 Not Found'
  const made = claim({
    [podPhase]: 'Running',
    [podRestarts]: '2',
    [populatorProgress]: '12.50%',
    [runningCondition]: 'false',
    [runningMessage]: message,
    [runningReason]: 'Error',
  })
  const before = volume({ source: http, ...storage('1Gi') })
  const { status, events } = dataVolumeStatus({ volume: before, claim: made, isDelayed: false, now })
  assert.equal(status.progress, '12.50%')
  assert.equal(status.restartCount, 2)
  const running = (status.conditions as any[]).find(({ type }) => type === 'Running')
  assert.deepEqual([running.status, running.reason, running.message], ['False', 'Error', message])
  assert.deepEqual(
    events.map(({ reason }) => reason),
    ['ImportInProgress', 'Error'],
  )
  const later = dataVolumeStatus({ volume: { ...before, status }, claim: made, isDelayed: false, now: now + 5000 })
  assert.deepEqual(later, { status, events: [] })
})
