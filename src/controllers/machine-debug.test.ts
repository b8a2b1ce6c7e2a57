// What the instance is told of containers beside its guest.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { type DebugContainer, debugContainersAnnotation, isBeside } from '../kinds/kubevirt/debug-containers.ts'
import { launcherPod } from '../kinds/kubevirt/launcher-pod.ts'
import { debugNotes } from './machine-debug.ts'
import { startTestPlatform } from './platform.fixture.ts'
import { pods, virtualMachineInstances } from './resources.ts'
import { object } from './sample.fixture.ts'

const entry: DebugContainer = { container: { name: 'look', image: 'i' }, pod: 'beside' }

const noting = (...list: DebugContainer[]): StoredObject => {
  const instance = object('VirtualMachineInstance', 'db', { spec: { domain: {} }, status: { phase: 'Running' } })
  return {
    ...instance,
    metadata: { ...instance.metadata, annotations: { [debugContainersAnnotation]: JSON.stringify(list) } },
  }
}

const podIn = (state: object): StoredObject =>
  object('Pod', 'beside', { status: { containerStatuses: [{ name: 'look', ready: true, resources: {}, state }] } })

const stateIn = (text: string | undefined) => JSON.parse(text!)[0].status.state

test('the status of its Pod is noted once, and that it is gone', () => {
  const running = { running: { startedAt: '2026-01-01T00:00:00Z' } }
  const text = debugNotes(noting(entry), () => podIn(running))
  assert.deepEqual(stateIn(text), running)
  const noted = noting(...JSON.parse(text!))
  assert.equal(
    debugNotes(noted, () => podIn(running)),
    undefined,
  )
  const [shown] = launcherPod(noted)!.status!.ephemeralContainerStatuses
  assert.deepEqual([shown.name, shown.state, shown.resources], ['look', running, undefined])
  const gone = debugNotes(noted, () => undefined)
  assert.equal(stateIn(gone).terminated.reason, 'ContainerStatusUnknown')
  assert.equal(
    debugNotes(noting(...JSON.parse(gone!)), () => undefined),
    undefined,
  )
  assert.equal(
    debugNotes(noting(), () => undefined),
    undefined,
  )
})

test('both the Pod and the instance say that they belong together', () => {
  const instance = noting(entry)
  const claims = (annotation: string, uid: string, name = 'beside') => {
    const pod = object('Pod', name, {})
    const owner = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance', name: 'db', uid }
    const annotations = { 'tandem.dev/beside-machine': annotation }
    return isBeside({ ...pod, metadata: { ...pod.metadata, annotations, ownerReferences: [owner] } }, instance)
  }
  assert.equal(claims('db', instance.metadata.uid), true)
  assert.equal(claims('db', 'other'), false)
  assert.equal(claims('web', instance.metadata.uid), false)
  assert.equal(claims('db', instance.metadata.uid, 'another'), false)
})

test('it ends with the guest', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  await client.create(virtualMachineInstances, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name: 'db', namespace: 'default' },
    spec: { domain: { memory: { guest: '64Mi' }, devices: {} } },
  })
  const { metadata } = await until(virtualMachineInstances, 'default/db', (one) => one?.status?.phase === 'Running')
  const { uid, name } = metadata
  await client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'beside',
      namespace: 'default',
      annotations: { 'tandem.dev/beside-machine': name },
      ownerReferences: [{ apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachineInstance', name, uid }],
    },
    spec: { nodeName: 'node-1', containers: [{ name: 'look', image: 'i' }] },
  })
  const annotations = { [debugContainersAnnotation]: JSON.stringify([entry]) }
  await client.patch(virtualMachineInstances, name, 'default', 'merge', { metadata: { annotations } })
  await until(virtualMachineInstances, 'default/db', (one) => {
    const [noted] = JSON.parse(one!.metadata.annotations![debugContainersAnnotation]!)
    return noted.status !== undefined
  })
  await client.patch(
    virtualMachineInstances,
    name,
    'default',
    'merge',
    { status: { phase: 'Succeeded' } },
    { subresource: 'status' },
  )
  await until(pods, 'default/beside', (one) => one === undefined || one.metadata.deletionTimestamp !== undefined)
})
