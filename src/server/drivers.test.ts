// What waits for drivers that are not here is taken with a warning, once for each write that asks for it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { csiDriver } from '../kinds/storage/csidriver.ts'
import { patchType, startServer } from './server.fixture.ts'

const volumes = '/api/v1/persistentvolumes'
const volume = {
  apiVersion: 'v1',
  kind: 'PersistentVolume',
  metadata: { name: 'far' },
  spec: {
    capacity: { storage: '1Gi' },
    accessModes: ['ReadWriteOnce'],
    persistentVolumeReclaimPolicy: 'Recycle',
    nfs: { server: 'files.example.com', path: '/data' },
  },
}

test('volumes of other machines', async () => {
  const { call, refused } = await startServer()
  const { nfs: _, ...spec } = volume.spec
  assert.match(await refused(422, 'POST', volumes, { ...volume, spec }), /must specify a volume type/)
  const both = { ...volume.spec, csi: { driver: 'disks.example.com' } }
  const text = await refused(422, 'POST', volumes, { ...volume, spec: both })
  assert.match(text, /may not specify more than 1 volume type/)
  assert.match(text, /spec.csi.volumeHandle: Required value/)
  const { status, warnings = [] } = await call('POST', volumes, volume)
  assert.equal(status, 201)
  assert.deepEqual(warnings.map((warning) => warning.split(' has no effect')[0]).sort(), [
    'spec.nfs',
    'spec.persistentVolumeReclaimPolicy',
  ])
  const patch = JSON.stringify({ metadata: { labels: { a: 'b' } } })
  assert.equal((await call('PATCH', `${volumes}/far`, patch, patchType('merge'))).warnings, undefined)
})

test('kinds that nothing acts on say so', async () => {
  const { call } = await startServer()
  const { warnings } = await call('POST', '/apis/storage.k8s.io/v1/csidrivers', csiDriver.example)
  assert.deepEqual(warnings, [
    'CSIDriver is stored and served, but nothing in this Tandem acts on it: volumes of CSI drivers cannot be attached or mounted here',
  ])
})
