import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exportAddress, namelessPath, serviceOf } from './address.ts'
import { rangeOf } from './exports.ts'
import { machineManifests } from './manifests.ts'

test('an export is meant by its path, or by the name of its Service', () => {
  const path = '/api/export.kubevirt.io/v1/namespaces/a/virtualmachineexports/x/volumes/d/disk.img.gz'
  assert.deepEqual(exportAddress(`${path}?x-kubevirt-export-token=t`, '127.0.0.1:6443'), {
    namespace: 'a',
    name: 'x',
    by: 'name',
    path: '/volumes/d/disk.img.gz',
  })
  for (const host of ['virt-export-x.a.svc', 'virt-export-x.a.svc.cluster.local:443', 'virt-export-x.a'])
    assert.deepEqual(exportAddress('/volumes/d/disk.img', host), {
      namespace: 'a',
      name: 'virt-export-x',
      by: 'service',
      path: '/volumes/d/disk.img',
    })
})

test('by any other name only the paths behind an export’s name are looked at', () => {
  assert.equal(namelessPath('/volumes/d/disk.img?x-kubevirt-export-token=t'), '/volumes/d/disk.img')
  assert.equal(namelessPath('/internal/manifests/all'), '/internal/manifests/all')
  for (const url of ['/volumes', '/internal/other', '/api/v1/volumes/d', '/'])
    assert.equal(namelessPath(url), undefined)
})

test('every other request is none of an export', () => {
  assert.equal(
    exportAddress('/apis/export.kubevirt.io/v1/namespaces/a/virtualmachineexports/x', 'localhost'),
    undefined,
  )
  assert.equal(exportAddress('/api/v1/pods', 'kubernetes.default.svc'), undefined)
  assert.equal(serviceOf('virt-export-'), undefined)
  assert.equal(serviceOf('evil.virt-export-x.a.svc'), undefined)
})

test('ranges of a resumed download', () => {
  assert.deepEqual(rangeOf('bytes=2-', 10), { start: 2, end: 9 })
  assert.deepEqual(rangeOf('bytes=2-4', 10), { start: 2, end: 4 })
  assert.deepEqual(rangeOf('bytes=-3', 10), { start: 7, end: 9 })
  assert.deepEqual(rangeOf('bytes=-30', 10), { start: 0, end: 9 })
  assert.equal(rangeOf('bytes=10-', 10), 'unsatisfiable')
  assert.equal(rangeOf('bytes=1-2,4-5', 10), undefined)
  assert.equal(rangeOf(undefined, 10), undefined)
})

test('the manifests make the machine anew out of its exported disks', () => {
  const url = 'https://host/volumes/data/disk.img.gz'
  const owner: any = {
    metadata: { name: 'x', namespace: 'a' },
    status: { links: { external: { cert: 'CA', volumes: [{ name: 'data', formats: [{ format: 'gzip', url }] }] } } },
  }
  const machine: any = {
    metadata: { name: 'db', namespace: 'a', labels: { app: 'db' }, uid: 'u', resourceVersion: '7' },
    spec: {
      template: { spec: { volumes: [{ name: 'root', persistentVolumeClaim: { claimName: 'data' } }, { name: 'x' }] } },
    },
  }
  const claim: any = { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }
  const [config, made, disk] = machineManifests({
    owner,
    machine,
    claims: new Map([['data', claim]]),
    side: 'external',
  })
  assert.deepEqual(config?.data, { 'ca.pem': 'CA' })
  assert.deepEqual(made?.metadata, { name: 'db', labels: { app: 'db' } })
  assert.deepEqual(made?.spec.template.spec.volumes[0], { name: 'root', dataVolume: { name: 'data' } })
  assert.deepEqual(disk?.spec, {
    source: { http: { url, certConfigMap: 'export-ca-cm-x', secretExtraHeaders: ['header-secret-x'] } },
    pvc: claim.spec,
  })
  assert.equal(machine.spec.template.spec.volumes[0].persistentVolumeClaim.claimName, 'data')
})
