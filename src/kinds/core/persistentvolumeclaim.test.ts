// The two fields that name what fills a claim.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../../api/meta.ts'
import { persistentVolumeClaim } from './persistentvolumeclaim.ts'

const snapshot = { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 'monday' }
const other = { apiGroup: 'example.com', kind: 'Backup', name: 'monday' }

const claim = (sources: object): ApiObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'db', namespace: 'default' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...sources },
})

function created(sources: object): any {
  const object = claim(sources)
  persistentVolumeClaim.prepareCreate!(object)
  const { dataSource, dataSourceRef } = object.spec
  return { dataSource, dataSourceRef }
}

test('a source stands in both fields where both can say it', () => {
  const both = { dataSource: snapshot, dataSourceRef: snapshot }
  assert.deepEqual(created({ dataSource: snapshot }), both)
  assert.deepEqual(created({ dataSourceRef: snapshot }), both)
  assert.deepEqual(created({ dataSourceRef: other }), { dataSource: undefined, dataSourceRef: other })
  const elsewhere = { ...snapshot, namespace: 'golden' }
  assert.deepEqual(created({ dataSourceRef: elsewhere }), { dataSource: undefined, dataSourceRef: elsewhere })
  assert.deepEqual(created({}), { dataSource: undefined, dataSourceRef: undefined })
})

test('the two fields say the same, and go on saying it', () => {
  const errors = (object: ApiObject, old?: ApiObject) =>
    persistentVolumeClaim.validate!(object, old).map(({ field, detail }) => `${field}: ${detail}`)
  assert.deepEqual(errors(claim({ dataSource: snapshot, dataSourceRef: other })), ['spec: must match dataSourceRef'])
  // One that was stored before there was a second field may still be written.
  const old = claim({ dataSource: snapshot })
  const object = structuredClone(old)
  persistentVolumeClaim.prepareUpdate!(object, old)
  assert.deepEqual(object.spec.dataSourceRef, snapshot)
  assert.deepEqual(errors(object, old), [])
  assert.match(errors(claim({ dataSource: other, dataSourceRef: other }), old)[0]!, /spec is immutable after creation/)
})
