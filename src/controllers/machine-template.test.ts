// A machine that is a template: saved once its guest is up, then stopped; its copies say what they start from.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startFromAnnotation, templateAnnotation } from '../kinds/kubevirt/template-start.ts'
import { memoryAnnotation } from '../kinds/snapshot/memory.ts'
import { instanceFor } from './machine-plan.ts'
import { startTestPlatform } from './platform.fixture.ts'
import {
  virtualMachineInstances,
  virtualMachineSnapshotContents,
  virtualMachineSnapshots,
  virtualMachines,
} from './resources.ts'
import { object } from './sample.fixture.ts'

const template = { spec: { domain: { memory: { guest: '64Mi' }, devices: {} } } }

test('a template is saved when its guest agent answers, and stopped then', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  await client.create(virtualMachines, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'golden', namespace: 'default', annotations: { [templateAnnotation]: 'true' } },
    spec: { runStrategy: 'Always', template },
  })
  const instance = await until(virtualMachineInstances, 'default/golden', (one) => one !== undefined)
  const conditions = ['Ready', 'AgentConnected'].map((type) => ({ type, status: 'True' }))
  const tell = (count: number) =>
    client.patch(
      virtualMachineInstances,
      instance.metadata.name,
      'default',
      'merge',
      { status: { phase: 'Running', conditions: conditions.slice(0, count) } },
      { subresource: 'status' },
    )
  await tell(1)
  await until(virtualMachines, 'default/golden', (one) => one?.status?.ready === true)
  assert.equal((await client.list(virtualMachineSnapshots)).items.length, 0)
  await tell(2)
  const [content] = await untilAll(virtualMachineSnapshotContents, (all) => all.length === 1)
  assert.equal(content!.metadata.annotations?.[memoryAnnotation], 'true')
  const status = { creationTime: '2026-01-01T00:00:00Z', readyToUse: true }
  await client.updateStatus(virtualMachineSnapshotContents, { ...content!, status })
  const stopped = await until(virtualMachines, 'default/golden', (one) => one?.spec.runStrategy === 'Halted')
  assert.equal(stopped.status?.snapshotInProgress, undefined)
})

test('an instance is told which template it is to be a copy of', () => {
  const copy = object('VirtualMachine', 'copy', {
    metadata: { annotations: { [startFromAnnotation]: 'golden' } },
    spec: { runStrategy: 'Always', template },
  })
  assert.equal(instanceFor(copy, false).metadata.annotations?.[startFromAnnotation], 'golden')
})
