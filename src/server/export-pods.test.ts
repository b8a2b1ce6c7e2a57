// Exports among the Pods: what virtctl vmexport --port-forward finds, and nobody inside.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer, take, told } from './server.fixture.ts'

const exports = '/apis/export.kubevirt.io/v1/namespaces/default/virtualmachineexports'
const pods = '/api/v1/namespaces/default/pods'
const outside = { source: '192.0.2.1' }

async function withExport() {
  const tandem = await startServer()
  await tandem.ok('POST', exports, {
    apiVersion: 'export.kubevirt.io/v1',
    kind: 'VirtualMachineExport',
    metadata: { name: 'disk', labels: { app: 'db' } },
    spec: { source: { apiGroup: '', kind: 'PersistentVolumeClaim', name: 'data' } },
  })
  const become = async (phase: string) => {
    const now = await tandem.ok('GET', `${exports}/disk`)
    const status = { phase, serviceName: 'virt-export-disk' }
    await tandem.ok('PUT', `${exports}/disk/status`, { ...now, status })
  }
  return { ...tandem, become }
}

test('a ready export has a Pod that its Service selects; one that is not ready has none', async () => {
  const { ok, become } = await withExport()
  const selected = `${pods}?labelSelector=kubevirt.io.virt-export-service=virt-export-disk`
  assert.deepEqual((await ok('GET', selected, undefined, outside)).items, [])
  await become('Ready')
  const [pod] = (await ok('GET', selected, undefined, outside)).items
  assert.equal(pod.metadata.name, 'virt-export-disk')
  assert.equal(pod.metadata.labels.app, 'db')
  assert.equal(pod.metadata.ownerReferences[0].kind, 'VirtualMachineExport')
  assert.equal(pod.status.phase, 'Running')
  assert.equal((await ok('GET', `${pods}/virt-export-disk`, undefined, outside)).metadata.uid, pod.metadata.uid)
  assert.deepEqual((await ok('GET', pods)).items, [], 'the parts of this process see no such Pod')
})

test('a watch of Pods tells when the Pod of an export comes and goes; nobody changes it', async () => {
  const { ok, call, refused, become, store } = await withExport()
  const watch = await call('GET', `${pods}?watch=true&resourceVersion=${store.revision()}`, undefined, outside)
  await become('Ready')
  await become('Pending')
  assert.deepEqual(told(await take(watch, 2)), ['ADDED virt-export-disk', 'DELETED virt-export-disk'])
  await become('Ready')
  assert.match(
    await refused(403, 'DELETE', `${pods}/virt-export-disk`, undefined, outside),
    /it shows the VirtualMachineExport "disk"/,
  )
  await ok('DELETE', `${exports}/disk`)
  await refused(404, 'GET', `${pods}/virt-export-disk`, undefined, outside)
})
