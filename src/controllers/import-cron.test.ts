// DataImportCrons and DataSources: what is imported, shown, kept and said.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { desiredDigest, pinnedReference } from '../kinds/cdi/annotations.ts'
import { sourceStatus } from './data-source.ts'
import { cronStatus, importOf, outdated, sourceOfCron } from './import-cron-plan.ts'

const now = Date.parse('2026-01-01T00:00:00Z')
const digest = 'sha256:0123456789abcdef0123'

function cron(spec: object = {}, status?: object): StoredObject {
  return {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataImportCron',
    metadata: { name: 'cron', namespace: 'golden', uid: 'c', annotations: { [desiredDigest]: digest } },
    spec: {
      managedDataSource: 'debian',
      template: { spec: { source: { registry: { url: 'docker://example.com/debian:12' } }, storage: {} } },
      ...spec,
    },
    ...(status && { status }),
  } as unknown as StoredObject
}

const made = (name: string, created: string, phase = 'Succeeded') =>
  ({ metadata: { name, creationTimestamp: created }, status: { phase } }) as unknown as StoredObject

test('an import is named after what it holds, and gets just that', () => {
  const one = cron()
  one.metadata.annotations![pinnedReference] = `docker://example.com/debian@${digest}`
  const { metadata, spec } = importOf(one, digest)
  assert.equal(metadata.name, 'debian-0123456789ab')
  assert.equal(metadata.labels!['cdi.kubevirt.io/dataImportCron'], 'cron')
  assert.equal(metadata.ownerReferences, undefined)
  assert.equal(spec.source.registry.url, `docker://example.com/debian@${digest}`)
  assert.equal(importOf(cron({ retentionPolicy: 'None' }), digest).metadata.ownerReferences?.[0]?.uid, 'c')
})

test('what is imported is said, and shown by the DataSource once it is there', () => {
  const said = (volume: StoredObject | undefined) => cronStatus({ cron: cron(), volume, claim: undefined, now }) as any
  const reasons = (status: any) => status.conditions.map((one: any) => `${one.type} ${one.status} ${one.reason}`)
  const going = said(made('debian-0123456789ab', '', 'ImportInProgress'))
  assert.deepEqual(reasons(going), ['Progressing True ImportProgressing', 'UpToDate False ImportProgressing'])
  assert.equal(going.lastImportedPVC, undefined)
  const done = said(made('debian-0123456789ab', ''))
  assert.deepEqual(reasons(done), ['Progressing False NoImport', 'UpToDate True UpToDate'])
  assert.deepEqual(done.lastImportedPVC, { namespace: 'golden', name: 'debian-0123456789ab' })
  assert.deepEqual(sourceOfCron(cron(), undefined).spec, { source: {} })
  assert.deepEqual(sourceOfCron(cron({}, done), undefined).spec, { source: { pvc: done.lastImportedPVC } })
})

test('old imports go, the newest and the shown one stay', () => {
  const imports = [made('a', '2026-01-01'), made('b', '2026-01-02'), made('c', '2026-01-03'), made('d', '2026-01-04')]
  const names = (spec: object) =>
    outdated(cron(spec, { lastImportedPVC: { name: 'd' } }), imports).map(({ metadata }) => metadata.name)
  assert.deepEqual(names({}), ['a'])
  assert.deepEqual(names({ importsToKeep: 1 }), ['c', 'b', 'a'])
  assert.deepEqual(names({ importsToKeep: 0 }), ['c', 'b', 'a'])
  assert.deepEqual(names({ garbageCollect: 'Never', importsToKeep: 1 }), [])
})

test('a DataSource is ready when its claim is there and full', () => {
  const source = (spec: object) =>
    ({ metadata: { name: 'debian', namespace: 'golden' }, spec: { source: spec } }) as unknown as StoredObject
  const pvc = { pvc: { name: 'disk', namespace: 'golden' } }
  const reason = (spec: object, facts: object = {}) => {
    const none = () => undefined
    const there = { dataSource: none, claim: none, volume: none, snapshot: none }
    const status = sourceStatus({ source: source(spec), ...there, now, ...facts })
    return (status.conditions as any[])[0].reason
  }
  assert.equal(reason({}), 'NoSource')
  assert.equal(reason(pvc), 'NotFound')
  assert.equal(reason(pvc, { claim: () => made('disk', '') }), 'Ready')
  assert.equal(reason(pvc, { volume: () => made('disk', '', 'ImportInProgress') }), 'ImportInProgress')
  const kept = { snapshot: { name: 'monday', namespace: 'golden' } }
  assert.equal(reason(kept), 'NotFound')
  assert.equal(reason(kept, { snapshot: () => made('monday', '') }), 'SnapshotNotReady')
  assert.equal(reason(kept, { snapshot: () => ({ ...made('monday', ''), status: { readyToUse: true } }) }), 'Ready')
  assert.equal(reason({ dataSource: { name: 'debian', namespace: 'golden' } }), 'SelfReference')
  assert.equal(reason({ dataSource: { name: 'other', namespace: 'elsewhere' } }), 'CrossNamespaceReference')
  const chain = { dataSource: () => source({ dataSource: { name: 'third' } }) }
  assert.equal(reason({ dataSource: { name: 'other', namespace: 'golden' } }, chain), 'MaxReferenceDepthReached')
})
