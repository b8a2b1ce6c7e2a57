import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { autoscalerFromStored, autoscalerToStored } from '../kinds/autoscaling/hpa-conversion.ts'
import { limitChange, newHistory, noteChange } from './hpa-behavior.ts'
import { averageReplicas, groupPods, podRequests, utilizationReplicas, valueReplicas } from './hpa-replicas.ts'
import { startTestPlatform, type TestPlatform } from './platform.fixture.ts'
import { autoscalers, deployments } from './resources.ts'
import { at, object, ready, stamp } from './sample.fixture.ts'

const tolerances = { up: 0.1, down: 0.1 }
const now = at(10_000)

const pod = (name: string, phase = 'Running'): StoredObject =>
  object('Pod', name, {
    spec: { containers: [{ name: 'c', resources: { requests: { cpu: '100m' } } }] },
    status: { phase, startTime: stamp(0), conditions: [ready(true, 5)] },
  })

function utilization(current: number, values: Record<string, number>, others: StoredObject[] = []) {
  const pods = [...Object.keys(values).map((name) => pod(name)), ...others]
  const measured = new Map(
    Object.entries(values).map(([name, value]) => [name, { value, at: now, windowMs: 30_000 }] as const),
  )
  return utilizationReplicas(current, 50, groupPods(pods, measured, true, now), podRequests(pods, 'cpu'), tolerances)
}

test('a utilization asks for replicas', () => {
  assert.deepEqual(utilization(2, { a: 100, b: 100 }), { replicas: 4, utilization: 100, average: 100 })
  assert.equal(utilization(2, { a: 52, b: 52 }).replicas, 2)
  assert.equal(utilization(4, { a: 10, b: 10, c: 10, d: 10 }).replicas, 1)
  // What is not measured is taken for what asks for the smaller change.
  assert.equal(utilization(3, { a: 10, b: 10 }, [pod('c')]).replicas, 3)
  assert.equal(utilization(2, { a: 100 }, [pod('b', 'Pending')]).replicas, 2)
  assert.throws(() => utilization(1, {}), /did not receive metrics for targeted pods/)
  assert.throws(() => podRequests([pod('a')], 'memory'), /missing request for memory in container c of Pod a/)
})

test('averages and single values ask for replicas', () => {
  const measured = new Map([['a', { value: 30_000, at: now, windowMs: 0 }]])
  assert.equal(averageReplicas(1, 10_000, groupPods([pod('a')], measured, false, now), tolerances).replicas, 3)
  assert.equal(valueReplicas(2, 2, 30_000, { value: 10_000 }, tolerances), 6)
  assert.equal(valueReplicas(2, 2, 30_000, { average: 10_000 }, tolerances), 3)
  assert.equal(valueReplicas(0, 0, 30_000, { average: 10_000 }, tolerances), 3)
})

test('the standard rules: up at once, down after five minutes', () => {
  const spec = { minReplicas: 1, maxReplicas: 20 }
  const history = newHistory()
  const up = limitChange(spec, history, 2, 15, now)
  assert.deepEqual([up.replicas, up.limited.reason], [6, 'ScaleUpLimit'])
  noteChange(history, 2, 6, now)
  assert.equal(limitChange(spec, history, 6, 15, now + 1000).replicas, 6)
  assert.equal(limitChange(spec, history, 6, 15, now + 16_000).replicas, 12)
  const held = limitChange(spec, history, 12, 3, now + 60_000)
  assert.deepEqual([held.replicas, held.able.reason], [12, 'ScaleDownStabilized'])
  assert.equal(limitChange(spec, history, 12, 3, now + 400_000).replicas, 3)
  assert.equal(limitChange(spec, newHistory(), 12, 50, now).limited.reason, 'TooManyReplicas')
})

test('own rules', () => {
  const policies = [{ type: 'Pods', value: 1, periodSeconds: 60 }]
  const behavior = { scaleDown: { stabilizationWindowSeconds: 0, policies }, scaleUp: { selectPolicy: 'Disabled' } }
  const spec = { minReplicas: 1, maxReplicas: 20, behavior }
  assert.equal(limitChange(spec, newHistory(), 5, 10, now).replicas, 5)
  const history = newHistory()
  const down = limitChange(spec, history, 5, 1, now)
  assert.deepEqual([down.replicas, down.limited.reason], [4, 'ScaleDownLimit'])
  noteChange(history, 5, 4, now)
  assert.equal(limitChange(spec, history, 4, 1, now + 30_000).replicas, 4)
})

test('v1 is a view of v2 that loses nothing', () => {
  const metrics = [
    { type: 'Pods', pods: { metric: { name: 'qps' }, target: { type: 'AverageValue', averageValue: '10' } } },
    { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
  ]
  const spec = { scaleTargetRef: { kind: 'Deployment', name: 'web' }, minReplicas: 1, maxReplicas: 3, metrics }
  const stored = object('HorizontalPodAutoscaler', 'web', { apiVersion: 'autoscaling/v2', spec, status: {} })
  const old = autoscalerFromStored(stored)
  assert.equal(old.spec.targetCPUUtilizationPercentage, 60)
  assert.deepEqual(JSON.parse(old.metadata.annotations!['autoscaling.alpha.kubernetes.io/metrics']!), [
    { type: 'Pods', pods: { metricName: 'qps', targetAverageValue: '10' } },
  ])
  assert.deepEqual(autoscalerToStored(old), { ...stored, apiVersion: 'autoscaling/v2' })
})

let platform: TestPlatform
before(async () => {
  platform = await startTestPlatform()
})
after(() => platform.stop())

test('bounds count without metrics; without metrics it says why it does nothing', async () => {
  const { client } = platform
  const labels = { app: 'web' }
  await client.create(deployments, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
    },
  })
  const v1 = { group: 'autoscaling', version: 'v1', resource: 'horizontalpodautoscalers' }
  await client.create(v1, {
    apiVersion: 'autoscaling/v1',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'web', namespace: 'default' },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
      minReplicas: 2,
      maxReplicas: 4,
    },
  })
  await platform.until(deployments, 'default/web', (one) => one?.spec.replicas === 2)
  await platform.untilEvents('SuccessfulRescale', [
    'New size: 2; reason: Current number of replicas below Spec.MinReplicas',
  ])
  await client.patch(autoscalers, 'web', 'default', 'merge', { metadata: { labels: { look: 'again' } } })
  const hpa = await platform.until(autoscalers, 'default/web', (one) =>
    one?.status?.conditions?.some((each: any) => each.type === 'ScalingActive' && each.status === 'False'),
  )
  const active = hpa.status.conditions.find((each: any) => each.type === 'ScalingActive')
  assert.equal(active.reason, 'FailedGetResourceMetric')
  assert.match(active.message, /^the HPA was unable to compute the replica count: failed to get cpu utilization: /)
  assert.equal((await client.get(v1, 'web', 'default')).spec.minReplicas, 2)
})
