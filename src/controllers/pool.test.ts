// Pools of machines and sets of instances: who is made, updated, restarted and taken out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { startTestPlatform } from './platform.fixture.ts'
import { replicasStatus } from './pool.ts'
import { machineOf, planPool, poolRevisionLabel, revisionName, updatedMachine } from './pool-plan.ts'
import {
  virtualMachineInstanceReplicaSets,
  virtualMachineInstances,
  virtualMachinePools,
  virtualMachines,
} from './resources.ts'
import { at, object, stamp } from './sample.fixture.ts'

const template = (memory = '64Mi') => ({
  metadata: { labels: { app: 'w' } },
  spec: { domain: { devices: {}, memory: { guest: memory } } },
})

const pool = (spec: object = {}, memory?: string): StoredObject =>
  object('VirtualMachinePool', 'w', {
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'w' } },
      virtualMachineTemplate: {
        metadata: { labels: { app: 'w' } },
        spec: { runStrategy: 'Always', template: template(memory) },
      },
      ...spec,
    },
  })

const member = (number: number, revision: string, more: any = {}): StoredObject =>
  object('VirtualMachine', `w-${number}`, {
    metadata: {
      creationTimestamp: stamp(number),
      ...more.metadata,
      labels: { app: 'w', [poolRevisionLabel]: revision },
    },
    spec: {},
    status: { ready: true, ...more.status },
  })

const named = (machines: StoredObject[]) => machines.map(({ metadata }) => metadata.name)
const half = () => 0.5

test('a pool fills the lowest numbers, and takes out by its policy', () => {
  const current = revisionName(pool())
  const members = [0, 2, 5].map((number) => member(number, current))
  assert.deepEqual(planPool(pool({ replicas: 5 }), members, new Map(), at(0)).create, [1, 3])
  const leaving = (replicas: number, scaleInStrategy: object) =>
    named(planPool(pool({ replicas, scaleInStrategy }), members, new Map(), at(0), half).delete)
  const sorted = (sortPolicy: string) => ({ proactive: { selectionPolicy: { sortPolicy } } })
  assert.deepEqual(leaving(1, sorted('DescendingOrder')), ['w-5', 'w-2'])
  assert.deepEqual(leaving(2, sorted('Oldest')), ['w-0'])
  assert.deepEqual(leaving(2, sorted('Newest')), ['w-5'])
  assert.deepEqual(leaving(0, { unmanaged: {} }), [])
  assert.equal(leaving(1, {}).length, 2)
  assert.deepEqual(planPool(pool({ replicas: 9, paused: true }), members, new Map(), at(0)).create, [])
})

test('a changed template updates the machines, then their instances, no more at once than may be down', () => {
  const changed = pool({ maxUnavailable: 1 }, '128Mi')
  const old = revisionName(pool())
  const now = revisionName(changed)
  assert.notEqual(old, now)
  const plan = (machines: StoredObject[], instanceRevision: string, more: object = {}) =>
    planPool(
      { ...changed, spec: { ...changed.spec, ...more } },
      machines,
      new Map(
        machines.map(({ metadata: { name } }) => [
          name,
          object('VirtualMachineInstance', name, {
            metadata: { labels: { [poolRevisionLabel]: instanceRevision } },
            spec: {},
          }),
        ]),
      ),
      at(0),
    )
  const outdated = [0, 1, 2].map((number) => member(number, old))
  assert.deepEqual(named(plan(outdated, old).update), ['w-0', 'w-1', 'w-2'])
  assert.deepEqual(plan(outdated, old).restart, [])
  const updated = [0, 1, 2].map((number) => member(number, now))
  assert.equal(plan(updated, old).restart.length, 1)
  assert.equal(plan(updated, old, { maxUnavailable: '67%' }).restart.length, 3)
  const [first, ...others] = updated
  const oneDown = [{ ...first!, status: { ready: false } }, ...others]
  assert.deepEqual(named(plan(oneDown, old).restart), ['w-0'])
  assert.deepEqual(plan(updated, now).restart, [])
  assert.deepEqual(plan(updated, old, { updateStrategy: { opportunistic: {} } }).restart, [])
  assert.deepEqual(plan(outdated, old, { updateStrategy: { unmanaged: {} } }).update, [])
})

test('a machine that cannot start is replaced where the pool heals itself', () => {
  const since = { conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: stamp(0) }] }
  const sick = member(0, revisionName(pool()), { status: { startFailure: { consecutiveFailCount: 3 }, ...since } })
  const healed = (spec: object, seconds: number) =>
    named(planPool(pool({ replicas: 1, ...spec }), [sick], new Map(), at(seconds)).delete)
  assert.deepEqual(healed({}, 900), [])
  assert.deepEqual(healed({ autohealing: {} }, 299), [])
  assert.deepEqual(healed({ autohealing: {} }, 300), ['w-0'])
  assert.deepEqual(healed({ autohealing: { minFailingToStartDuration: '10s' } }, 10), ['w-0'])
  assert.deepEqual(healed({ autohealing: { startUpFailureThreshold: 4 } }, 900), [])
})

test('numbers go into names of Secrets and ConfigMaps; an update leaves who a machine is', () => {
  const numbered = pool({ nameGeneration: { appendIndexToSecretRefs: true, appendIndexToConfigMapRefs: true } })
  numbered.spec.virtualMachineTemplate.spec.template.spec.volumes = [
    { name: 'a', cloudInitNoCloud: { secretRef: { name: 'seed' } } },
    { name: 'b', configMap: { name: 'settings' } },
  ]
  const made = machineOf(numbered, 7) as StoredObject
  assert.equal(made.metadata.name, 'w-7')
  const [seed, settings] = made.spec.template.spec.volumes
  assert.deepEqual([seed.cloudInitNoCloud.secretRef.name, settings.configMap.name], ['seed-7', 'settings-7'])
  made.spec.runStrategy = 'Halted'
  made.spec.template.spec.domain.firmware = { uuid: 'u', serial: 's' }
  const { spec, metadata } = updatedMachine(pool({}, '128Mi'), made)
  assert.equal(spec.runStrategy, 'Halted')
  assert.equal(spec.template.spec.domain.memory.guest, '128Mi')
  assert.equal(spec.template.spec.domain.firmware.uuid, 'u')
  assert.equal(metadata.labels![poolRevisionLabel], revisionName(pool({}, '128Mi')))
})

test('a pool and a replica set from three to one, through the API', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  const { virtualMachineTemplate, selector } = pool().spec
  const metadata = { name: 'w', namespace: 'default' }
  await client.create(virtualMachinePools, {
    apiVersion: 'pool.kubevirt.io/v1beta1',
    kind: 'VirtualMachinePool',
    metadata,
    spec: { replicas: 3, selector, virtualMachineTemplate },
  })
  const full = await until(virtualMachinePools, 'default/w', (one) => one?.status?.readyReplicas === 3)
  assert.equal(full.status.labelSelector, 'app=w')
  await client.patch(virtualMachinePools, 'w', 'default', 'merge', {
    spec: { virtualMachineTemplate: { spec: { template: template('128Mi') } } },
  })
  await untilAll(
    virtualMachineInstances,
    (all) => all.length === 3 && all.every(({ spec }) => spec.domain.memory.guest === '128Mi'),
  )
  const scale = { spec: { replicas: 1 } }
  await client.patch(virtualMachinePools, 'w', 'default', 'merge', scale, { subresource: 'scale' })
  await untilAll(virtualMachines, (all) => all.length === 1)
  await client.delete(virtualMachinePools, 'w', 'default')
  await untilAll(virtualMachineInstances, (all) => all.length === 0)

  await client.create(virtualMachineInstanceReplicaSets, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceReplicaSet',
    metadata,
    spec: { replicas: 2, selector, template: template() },
  })
  const two = await untilAll(
    virtualMachineInstances,
    (all) => all.length === 2 && all.every(({ status }) => status?.phase === 'Running'),
  )
  const off = { status: { phase: 'Succeeded' } }
  const ended = two[0]!.metadata
  await client.patch(virtualMachineInstances, ended.name, 'default', 'merge', off, { subresource: 'status' })
  await untilAll(
    virtualMachineInstances,
    (all) => all.length === 2 && all.every(({ metadata }) => metadata.uid !== ended.uid),
  )
  await until(virtualMachineInstanceReplicaSets, 'default/w', (one) => one?.status?.readyReplicas === 2)
})

test('the first failure to create stays: its text names another object each time', () => {
  const set = object('VirtualMachinePool', 'p', { spec: { replicas: 1, selector: { matchLabels: { a: 'b' } } } })
  const fail = (name: string) => ({ reason: 'FailedCreate', message: `cannot create ${name}` })
  const first = replicasStatus(set, 0, 0, fail('p-x1'), at(0))
  assert.deepEqual(replicasStatus({ ...set, status: first }, 0, 0, fail('p-x2'), at(1)), first)
  assert.deepEqual(replicasStatus({ ...set, status: first }, 0, 0, undefined, at(2)).conditions, [])
})
