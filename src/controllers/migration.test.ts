// The phases of a migration, its policy, and what goes wrong.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { type MigrationFacts, planMigration } from './migration-plan.ts'
import { migrationConfiguration, policyFor } from './migration-policy.ts'

const now = Date.parse('2026-01-01T00:00:00Z')

const migration = (phase: string | undefined, metadata = {}, spec = {}): StoredObject =>
  ({
    metadata: { name: 'm', namespace: 'default', uid: 'u-m', creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
    spec: { vmiName: 'vm', ...spec },
    ...(phase !== undefined && { status: { phase } }),
  }) as unknown as StoredObject

const instance = (migrationState?: object, phase = 'Running'): StoredObject =>
  ({
    metadata: { name: 'vm', namespace: 'default', uid: 'u-vm' },
    spec: {},
    status: { phase, nodeName: 'node-1', ...(migrationState && { migrationState }) },
  }) as unknown as StoredObject

const plan = (facts: Partial<MigrationFacts>) =>
  planMigration({
    migration: migration(undefined),
    instance: instance(),
    others: [],
    nodeLabels: { zone: 'a' },
    configuration: {},
    now,
    ...facts,
  })

const phase = (facts: Partial<MigrationFacts>) => plan(facts).status?.phase

test('phases, one after the other', () => {
  const own = { migrationUid: 'u-m', targetNode: 'node-1' }
  assert.equal(phase({}), 'Pending')
  assert.equal(phase({ migration: migration('Pending') }), 'Scheduling')
  assert.equal(phase({ migration: migration('Scheduling') }), 'Scheduled')
  const asked = plan({ migration: migration('Scheduled'), configuration: { maxDowntimeMs: 9 } })
  assert.equal(asked.ask?.migrationUid, 'u-m')
  assert.deepEqual(asked.ask?.migrationConfiguration, { maxDowntimeMs: 9 })
  assert.equal(phase({ migration: migration('Scheduled'), instance: instance(own) }), 'PreparingTarget')
  const ready = { ...own, targetNodeAddress: '127.0.0.1' }
  assert.equal(phase({ migration: migration('PreparingTarget'), instance: instance(own) }), undefined)
  assert.equal(phase({ migration: migration('PreparingTarget'), instance: instance(ready) }), 'TargetReady')
  const begun = { ...ready, startTimestamp: '2026-01-01T00:00:00Z' }
  assert.equal(phase({ migration: migration('TargetReady'), instance: instance(begun) }), 'Running')
  assert.equal(phase({ migration: migration('Running'), instance: instance(begun) }), undefined)
  const done = { ...begun, completed: true, endTimestamp: '2026-01-01T00:00:01Z' }
  const { status, events } = plan({ migration: migration('Running'), instance: instance(done) })
  assert.equal(status?.phase, 'Succeeded')
  assert.deepEqual(status?.migrationState, done)
  assert.deepEqual(
    events.map(({ message }) => message),
    ['Source node reported migration succeeded'],
  )
})

test('one at a time for an instance, two for the node', () => {
  const older = migration('', { uid: 'a', name: 'older' })
  assert.equal(phase({ others: [older] }), 'Failed')
  assert.equal(phase({ others: [migration('', { uid: 'z', name: 'younger' })] }), 'Failed', 'whoever has a phase')
  const unseen = (uid: string) => ({ ...migration(undefined, { uid }), status: undefined }) as unknown as StoredObject
  assert.equal(phase({ others: [unseen('z')] }), 'Pending')
  assert.equal(phase({ others: [unseen('a')] }), 'Failed')
  const running = ['b', 'c'].map((uid) => migration('Running', { uid }, { vmiName: uid }))
  assert.equal(phase({ migration: migration('Pending'), others: running }), undefined)
  assert.equal(phase({ migration: migration('Pending'), others: running.slice(1) }), 'Scheduling')
})

test('a selector that this node does not fit is waited for, and given up', () => {
  const wanting = (value: string, since: string): StoredObject => {
    const one = migration('Pending', {}, { addedNodeSelector: { zone: value } })
    one.status!.phaseTransitionTimestamps = [{ phase: 'Pending', phaseTransitionTimestamp: since }]
    return one
  }
  assert.equal(phase({ migration: wanting('a', '2026-01-01T00:00:00Z') }), 'Scheduling')
  const waiting = plan({ migration: wanting('b', '2026-01-01T00:00:00Z') })
  assert.equal(waiting.status, undefined)
  assert.equal(waiting.requeueAfter, 300_000)
  assert.match(waiting.events[0]!.message, /currently unschedulable/)
  assert.equal(phase({ migration: wanting('b', '2025-12-31T23:54:00Z') }), 'Failed')
})

test('cancelled before and after the node was asked', () => {
  const deleted = (at: string) => migration(at, { deletionTimestamp: '2026-01-01T00:00:00Z' })
  const early = plan({ migration: deleted('Pending') })
  assert.equal(early.status?.phase, 'Failed')
  assert.equal(early.events[0]!.message, 'Migration failed due to being canceled')
  const own = { migrationUid: 'u-m', targetNode: 'node-1' }
  const late = plan({ migration: deleted('Running'), instance: instance(own) })
  assert.equal(late.ask?.abortRequested, true)
  assert.equal(late.status?.conditions[0].type, 'migrationAbortRequested')
  const again = plan({ migration: deleted('Running'), instance: instance({ ...own, abortRequested: true }) })
  assert.deepEqual(again, { events: [] })
  const over = { ...own, abortRequested: true, failed: true, completed: true }
  assert.equal(phase({ migration: deleted('Running'), instance: instance(over) }), 'Failed')
})

test('what happens to the instance meanwhile', () => {
  const why = (facts: Partial<MigrationFacts>) => plan(facts).events[0]?.message
  const active = migration('Running')
  assert.match(why({ migration: active, instance: undefined })!, /vmi does not exist/)
  assert.match(why({ migration: active, instance: instance(undefined, 'Failed') })!, /vmi shutdown during migration/)
  assert.match(why({ migration: active })!, /was cleared/)
  assert.match(why({ migration: active, instance: instance({ migrationUid: 'other' }) })!, /taken over/)
})

test('the policy that says most about an instance holds', () => {
  const policy = (name: string, vmi: object, namespace: object = {}, more = {}): StoredObject =>
    ({
      metadata: { name },
      spec: { selectors: { virtualMachineInstanceSelector: vmi, namespaceSelector: namespace }, ...more },
    }) as unknown as StoredObject
  const vm = { ...instance(), metadata: { ...instance().metadata, labels: { size: 'large', app: 'db' } } }
  const space = { metadata: { name: 'default', labels: { team: 'red' } } } as unknown as StoredObject
  const find = (...policies: StoredObject[]) => policyFor(policies, vm, space)?.metadata.name
  assert.equal(find(policy('b', { size: 'small' })), undefined)
  assert.equal(find(policy('b', { size: 'large' }), policy('c', { size: 'large', app: 'db' })), 'c')
  assert.equal(find(policy('b', { size: 'large' }), policy('a', { app: 'db' })), 'a')
  assert.equal(find(policy('a', {}, { team: 'red' }), policy('b', { app: 'db' })), 'b', 'the instance counts first')
  const fast = policy('fast', {}, {}, { maxDowntimeMs: 20, allowAutoConverge: true })
  const { maxDowntimeMs, allowAutoConverge, completionTimeoutPerGiB } = migrationConfiguration(fast) as any
  assert.deepEqual([maxDowntimeMs, allowAutoConverge, completionTimeoutPerGiB], [20, true, 150])
})
