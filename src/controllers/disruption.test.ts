import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isApiError } from '../api/errors.ts'
import { budgetStatus, disrupted, expected, healthyCount } from './disruption-plan.ts'
import { startTestPlatform, type TestPlatform } from './platform.fixture.ts'
import { deployments, podDisruptionBudgets, pods } from './resources.ts'
import { at, object, ready, stamp } from './sample.fixture.ts'

const budget = (spec: Record<string, unknown>, status = {}) =>
  object('PodDisruptionBudget', 'pdb', { metadata: { generation: 2 }, spec, status })
const pod = (name: string, isReady = true) => object('Pod', name, { status: { conditions: [ready(isReady)] } })

test('how many must stay', () => {
  assert.deepEqual(expected(budget({ minAvailable: 2 }), 3, 9), { expectedPods: 3, desiredHealthy: 2 })
  assert.deepEqual(expected(budget({ minAvailable: '50%' }), 3, 5), { expectedPods: 5, desiredHealthy: 3 })
  assert.deepEqual(expected(budget({ maxUnavailable: 1 }), 3, 5), { expectedPods: 5, desiredHealthy: 4 })
  assert.deepEqual(expected(budget({ maxUnavailable: '30%' }), 3, 5), { expectedPods: 5, desiredHealthy: 3 })
})

test('evictions under way count as gone, for two minutes', () => {
  const all = [pod('a'), pod('b'), pod('c', false)]
  const status = { disruptedPods: { a: stamp(0), b: stamp(100), gone: stamp(0) } }
  const going = disrupted(budget({}, status), all, at(150))
  assert.deepEqual(going.pods, { b: stamp(100) })
  assert.deepEqual(going.overdue, [all[0]])
  assert.equal(going.recheckAt, at(220))
  assert.equal(healthyCount(all, going.pods), 1)
  const counts = { currentHealthy: 3, desiredHealthy: 2, expectedPods: 3, disruptedPods: {} }
  const written = budgetStatus(budget({}), counts, at(0))
  assert.equal(written.disruptionsAllowed, 1)
  assert.equal(written.conditions[0].reason, 'SufficientPods')
  assert.equal(budgetStatus(budget({}), { ...counts, expectedPods: 0 }, at(0)).disruptionsAllowed, 0)
})

let platform: TestPlatform
before(async () => {
  platform = await startTestPlatform()
})
after(() => platform.stop())

const evict = (name: string) =>
  platform.client.post(`/api/v1/namespaces/default/pods/${name}/eviction`, {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name, namespace: 'default' },
  })

test('an eviction is refused until the budget allows it', async () => {
  const { client } = platform
  const labels = { app: 'kept' }
  await client.create(deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'kept', namespace: 'default' },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  })
  await client.create(podDisruptionBudgets, {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: 'kept', namespace: 'default' },
    spec: { maxUnavailable: 0, selector: { matchLabels: labels } },
  })
  await platform.until(podDisruptionBudgets, 'default/kept', (pdb) => pdb?.status?.currentHealthy === 2)
  const [first] = platform.informers.informer(pods).list('default')
  await assert.rejects(evict(first!.metadata.name), (error) => {
    assert.ok(isApiError(error, 'TooManyRequests'))
    assert.equal(error.message, "Cannot evict pod as it would violate the pod's disruption budget.")
    assert.equal(
      error.details?.causes?.[0]?.message,
      'The disruption budget kept needs 2 healthy pods and has 2 currently',
    )
    return true
  })
  await client.patch(podDisruptionBudgets, 'kept', 'default', 'merge', { spec: { maxUnavailable: 1 } })
  await platform.until(podDisruptionBudgets, 'default/kept', (pdb) => pdb?.status?.disruptionsAllowed === 1)
  await evict(first!.metadata.name)
  await platform.untilAll(pods, (all) => !all.some(({ metadata }) => metadata.uid === first!.metadata.uid))
  await platform.until(podDisruptionBudgets, 'default/kept', (pdb) => pdb?.status?.currentHealthy === 2)
})
