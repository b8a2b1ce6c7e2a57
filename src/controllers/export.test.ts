import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { expiresAt, serviceName } from './export-plan.ts'
import { startTestPlatform, type TestPlatform } from './platform.fixture.ts'
import { endpointSlices, persistentVolumeClaims, pods, secrets, services, virtualMachineExports } from './resources.ts'

let platform: TestPlatform
before(async () => {
  platform = await startTestPlatform()
})
after(() => platform.stop())

const exported = (name: string, source: object, spec: object = {}) => ({
  apiVersion: 'export.kubevirt.io/v1',
  kind: 'VirtualMachineExport',
  metadata: { name, namespace: 'default' },
  spec: { source, ...spec },
})

const ready = (object: StoredObject | undefined) =>
  object?.status?.conditions?.find(({ type }: { type: string }) => type === 'Ready')

test('a claim is exported while nobody uses it', async () => {
  const { client, until } = platform
  await client.create(
    virtualMachineExports,
    exported('e', { apiGroup: '', kind: 'PersistentVolumeClaim', name: 'data' }),
  )
  const waiting = await until(virtualMachineExports, 'default/e', (one) => one?.status?.phase === 'Pending')
  assert.equal(waiting.status?.conditions.find((one: any) => one.type === 'PVCReady').reason, 'PVCNotFound')
  assert.equal(waiting.status?.tokenSecretRef, 'export-token-e')
  const token = await client.get(secrets, 'export-token-e', 'default')
  assert.match(Buffer.from(token.data.token, 'base64').toString(), /^[0-9A-Za-z]{20}$/)
  assert.equal((await client.get(services, 'virt-export-e', 'default')).spec.ports[0].port, 443)
  const slice = await client.get(endpointSlices, 'virt-export-e', 'default')
  assert.deepEqual(slice.endpoints[0].addresses, ['10.96.0.1'])

  await client.create(persistentVolumeClaims, {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data', namespace: 'default' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
  })
  await client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'user', namespace: 'default' },
    spec: {
      containers: [{ name: 'c', image: 'i' }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
    },
  })
  const used = await until(virtualMachineExports, 'default/e', (one) => ready(one)?.reason === 'InUse')
  assert.equal(ready(used).message, 'PersistentVolumeClaim default/data is in use')
  await client.delete(pods, 'user', 'default', { gracePeriodSeconds: 0 })
  const done = await until(virtualMachineExports, 'default/e', (one) => one?.status?.phase === 'Ready')
  assert.deepEqual(
    done.status?.links.internal.volumes[0].formats.map((one: any) => one.url),
    ['dir/', 'disk.tar.gz'].map((end) => `https://virt-export-e.default.svc/volumes/data/${end}`),
  )
  assert.equal(done.status?.links.internal.cert, 'CA')
})

test('what cannot be exported says so', async () => {
  const { client, until } = platform
  const machine = { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'nobody' }
  await client.create(virtualMachineExports, exported('m', machine))
  const missing = await until(virtualMachineExports, 'default/m', (one) => ready(one)?.reason === 'VMNotFound')
  assert.equal(ready(missing).message, 'Virtual Machine default/nobody not found')
  const snapshot = { apiGroup: 'snapshot.kubevirt.io', kind: 'VirtualMachineSnapshot', name: 'none' }
  await client.create(virtualMachineExports, exported('s', snapshot))
  await until(virtualMachineExports, 'default/s', (one) => one?.status?.phase === 'Skipped')
  await assert.rejects(client.create(virtualMachineExports, exported('x', { kind: 'Pod', name: 'p' })), /invalid kind/)
})

test('an export whose time is over is deleted', async () => {
  const { client, untilAll } = platform
  const source = { kind: 'PersistentVolumeClaim', name: 'data' }
  await client.create(virtualMachineExports, exported('short', source, { ttlDuration: '0s' }))
  await untilAll(virtualMachineExports, (all) => all.every(({ metadata }) => metadata.name !== 'short'))
})

test('names and times', () => {
  const long = serviceName('x'.repeat(80))
  assert.equal(long.length, 63)
  assert.notEqual(long, serviceName('x'.repeat(81)))
  const at = (ttlDuration?: string) =>
    expiresAt({ metadata: { creationTimestamp: '2026-01-01T00:00:00Z' }, spec: { ttlDuration } } as any)
  assert.equal(at() - Date.parse('2026-01-01T00:00:00Z'), 7_200_000)
  assert.equal(at('90s') - Date.parse('2026-01-01T00:00:00Z'), 90_000)
})
