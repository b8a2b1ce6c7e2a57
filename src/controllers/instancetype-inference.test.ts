// Where a recommendation is looked for, and what is said when there is none.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../api/errors.ts'
import type { ResourceRef } from '../api/meta.ts'
import { createInference, NothingInferred } from './instancetype-inference.ts'

const label = 'instancetype.kubevirt.io/default-instancetype'
const small = { [label]: 'small' }
const large = { [label]: 'large', [`${label}-kind`]: 'VirtualMachineInstancetype' }

type Known = Record<string, { labels?: Record<string, string>; spec?: object }>

/** What is inferred from the DataVolume `root` when there are these objects, by 'resource/namespace/name'. */
function infer(known: Known, templates: object[] = [], volume: object = { dataVolume: { name: 'root' } }) {
  const read = async ({ resource }: ResourceRef, name: string, namespace: string): Promise<any> => {
    const found = known[`${resource}/${namespace}/${name}`]
    if (!found) throw new ApiError('NotFound', `${resource} "${name}" not found`)
    return { metadata: { name, namespace, labels: found.labels }, spec: found.spec }
  }
  const spec = { dataVolumeTemplates: templates, template: { spec: { volumes: [{ name: 'disk', ...volume }] } } }
  return createInference(read, label)({ metadata: { name: 'db', namespace: 'own' }, spec } as any, 'disk')
}

const template = (spec: object, labels?: object) => ({ metadata: { name: 'root', labels }, spec })
const toSource = { sourceRef: { kind: 'DataSource', name: 'os', namespace: 'images' } }

test('a claim is asked itself, a DataVolume first itself and then what it is cloned from', async () => {
  const claim = { 'persistentvolumeclaims/own/root': { labels: small } }
  assert.deepEqual(await infer(claim, [], { persistentVolumeClaim: { claimName: 'root' } }), {
    name: 'small',
    kind: '',
  })
  assert.equal((await infer(claim)).name, 'small', 'of a DataVolume only its claim is left')
  const volume = { 'datavolumes/own/root': { labels: large, spec: { source: { pvc: { name: 'other' } } } } }
  assert.deepEqual(await infer({ ...claim, ...volume }), { name: 'large', kind: 'VirtualMachineInstancetype' })
  const cloned = { 'datavolumes/own/root': { spec: { source: { pvc: { name: 'gold', namespace: 'images' } } } } }
  assert.equal((await infer({ ...cloned, 'persistentvolumeclaims/images/gold': { labels: large } })).name, 'large')
})

test('a template is asked before there is a DataVolume', async () => {
  assert.equal((await infer({}, [template({ source: { http: {} } }, small)])).name, 'small')
  const snapshot = { 'volumesnapshots/own/gold': { labels: large } }
  assert.equal((await infer(snapshot, [template({ source: { snapshot: { name: 'gold' } } })])).name, 'large')
  const downloaded = { 'persistentvolumeclaims/own/root': { labels: small } }
  assert.equal((await infer(downloaded, [template({ source: { http: {} } })])).name, 'small')
})

test('a DataSource is asked itself, then what it names, then the one that it stands for', async () => {
  const templates = [template(toSource)]
  const named = { 'persistentvolumeclaims/images/gold': { labels: large } }
  const spec = { source: { pvc: { name: 'gold' } } }
  assert.equal((await infer({ ...named, 'datasources/images/os': { labels: small, spec } }, templates)).name, 'small')
  assert.equal((await infer({ ...named, 'datasources/images/os': { spec } }, templates)).name, 'large')
  const kept = { 'volumesnapshots/images/gold': { labels: small } }
  const ofSnapshot = { spec: { source: { snapshot: { name: 'gold' } } } }
  assert.equal((await infer({ ...kept, 'datasources/images/os': ofSnapshot }, templates)).name, 'small')
  const chained = { spec: { source: { dataSource: { name: 'os-12' } } } }
  const both = { ...named, 'datasources/images/os': chained, 'datasources/images/os-12': { spec } }
  assert.equal((await infer(both, templates)).name, 'large')
  const own = { 'datasources/own/os': { labels: small, spec } }
  assert.equal((await infer(own, [template({ sourceRef: { kind: 'DataSource', name: 'os' } })])).name, 'small')
})

test('what recommends nothing says so; what is not there is another failure', async () => {
  const nothing = (message: string) => (error: Error) => error instanceof NothingInferred && error.message === message
  const unlabelled = nothing(`unable to find required ${label} label on the volume`)
  await assert.rejects(infer({ 'persistentvolumeclaims/own/root': {} }), unlabelled)
  await assert.rejects(
    infer({}, [template({ source: { http: {} } })]),
    nothing('unable to infer defaults from DataVolumeSpec as DataVolumeSource is not supported'),
  )
  await assert.rejects(
    infer({}, [template({ sourceRef: { kind: 'Other', name: 'os' } })]),
    nothing('unable to infer defaults from DataVolumeSourceRef as Kind Other is not supported'),
  )
  const noSource = nothing(
    "unable to infer defaults from DataSource that doesn't provide DataVolumeSourcePVC or DataVolumeSourceSnapshot",
  )
  await assert.rejects(infer({ 'datasources/images/os': {} }, [template(toSource)]), noSource)
  const circle = { 'datasources/images/os': { spec: { source: { dataSource: { name: 'os' } } } } }
  await assert.rejects(infer(circle, [template(toSource)]), noSource)
  await assert.rejects(
    infer({}, [], { containerDisk: {} }),
    nothing('unable to infer defaults from volume disk as type is not supported'),
  )
  const absent = (error: Error) => error instanceof ApiError && error.reason === 'NotFound'
  await assert.rejects(infer({}), absent)
  await assert.rejects(infer({}, [template(toSource)]), absent)
})
