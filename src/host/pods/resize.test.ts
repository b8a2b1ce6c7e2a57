// In-place resize: what is granted, and what it means for containers that run.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { createBackoff } from './backoff.ts'
import { refusal } from './node-admission.ts'
import { plan } from './plan.ts'
import { podOf, recordOf, viewOf } from './pod.fixture.ts'
import type { PodObject } from './pod.ts'
import { parseUser } from './process-user.ts'
import { asked, openResizes, settle } from './resize.ts'
import { podStatus } from './status.ts'
import { signalNumber } from './stop-container.ts'

const amounts = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } })
const node = { cpu: 4000, memory: 8 * 2 ** 30 }
const facts = { name: 'n', addresses: ['192.0.2.1'], cpu: 4, memoryBytes: node.memory }

function resized(before: object, after: object, policy: object[] = []) {
  const pod = (resources: object) =>
    podOf({ containers: [{ name: 'main', image: 'x', resources, resizePolicy: policy }] })
  const view = viewOf(
    pod(after),
    [recordOf('main', { resources: before, bounds: (before as { limits: Record<string, string> }).limits })],
    { granted: asked(pod(before)) },
  )
  return view
}

test('what fits is granted and becomes a step', () => {
  const view = resized(amounts('1', '1Gi'), amounts('2', '1Gi'))
  settle(view, node, () => node)
  assert.deepEqual(view.resize, { inProgress: {} })
  assert.deepEqual(
    plan(view, createBackoff(), 0).steps.map((step) => step.do),
    ['resize'],
  )
  const [status] = podStatus(view, facts, 0).containerStatuses as any[]
  assert.deepEqual(status.allocatedResources, { cpu: '2', memory: '1Gi' })
  assert.deepEqual(status.resources, amounts('1', '1Gi'))
})

test('a container whose policy wants a restart is killed', () => {
  const view = resized(amounts('1', '1Gi'), amounts('1', '2Gi'), [
    { resourceName: 'memory', restartPolicy: 'RestartContainer' },
  ])
  settle(view, node, () => node)
  assert.deepEqual(
    openResizes(view).map(({ restart }) => restart),
    [true],
  )
  assert.deepEqual(
    plan(view, createBackoff(), 0).steps.map((step) => step.do),
    ['kill'],
  )
})

test('what the node never has is infeasible, what others hold is deferred', () => {
  const tooMuch = resized(amounts('1', '1Gi'), amounts('8', '1Gi'))
  settle(tooMuch, node, () => node)
  assert.deepEqual(tooMuch.resize.pending, {
    reason: 'Infeasible',
    message: "Node didn't have enough capacity: cpu, requested: 8000, capacity: 4000",
  })
  const later = resized(amounts('1', '1Gi'), amounts('2', '1Gi'))
  settle(later, node, () => ({ cpu: 1000, memory: node.memory }))
  assert.equal(later.resize.pending?.reason, 'Deferred')
  assert.deepEqual(openResizes(later), [])
  const types = podStatus(later, facts, 0).conditions.map(({ type }) => type)
  assert.ok(types.includes('PodResizePending'))
})

test('a Pod that asks the node for what it must not have is refused by name', () => {
  const sysctl = (name: string) =>
    refusal(podOf({ securityContext: { sysctls: [{ name, value: '1' }] } }), { appArmor: false })
  assert.deepEqual(sysctl('kernel.msgmax'), {
    reason: 'SysctlForbidden',
    message: 'forbidden sysctl: "kernel.msgmax" not allowlisted',
  })
  assert.equal(sysctl('kernel/shm_rmid_forced'), undefined)
  const confined = podOf({ securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } })
  assert.equal(refusal(confined, { appArmor: false })?.reason, 'AppArmor')
  assert.equal(refusal(confined, { appArmor: true }), undefined)
  const onPort = (hostIP?: string) => {
    const [container] = podOf({}).spec.containers
    return podOf({
      containers: [{ ...container!, ports: [{ containerPort: 80, hostPort: 80, ...(hostIP && { hostIP }) }] }],
    })
  }
  const second = (pod: ReturnType<typeof podOf>, other: ReturnType<typeof podOf>) =>
    refusal(pod, { appArmor: false }, [other])?.reason
  assert.equal(second(onPort(), onPort()), 'NodePorts')
  assert.equal(second(onPort('10.0.0.1'), onPort()), 'NodePorts')
  assert.equal(second(onPort('10.0.0.1'), onPort('10.0.0.2')), undefined)
})

test('a Pod that names its node itself and does not fit fails as the kubelet has it', () => {
  const node = (more: object = {}) =>
    ({
      metadata: { name: 'n', labels: { disk: 'ssd' } },
      status: { allocatable: { cpu: '2', memory: '1Gi', pods: '2', 'ephemeral-storage': '1Gi' } },
      ...more,
    }) as unknown as StoredObject
  const asking = (requests: object, spec: object = {}, meta: object = {}) =>
    podOf({ containers: [{ name: 'c', image: 'x', resources: { requests } }], ...spec }, meta)
  const verdict = (pod: PodObject, others: PodObject[] = [], more: object = {}) =>
    refusal(pod, { appArmor: true, node: node(more) }, others)
  assert.equal(verdict(asking({ cpu: '2' })), undefined)
  assert.deepEqual(verdict(asking({ cpu: '1500m' }), [asking({ cpu: '600m' })]), {
    reason: 'OutOfcpu',
    message: "Node didn't have enough resource: cpu, requested: 1500, used: 600, capacity: 2000",
  })
  assert.equal(verdict(asking({ memory: '2Gi', 'ephemeral-storage': '2Gi' }))?.reason, 'OutOfmemory')
  assert.equal(verdict(asking({ 'ephemeral-storage': '2Gi' }))?.reason, 'OutOfephemeral-storage')
  assert.equal(verdict(asking({}), [asking({}), asking({})])?.reason, 'OutOfpods')
  assert.equal(verdict(asking({ 'example.com/unknown': '1' })), undefined, 'not a matter of this node')
  const leaving = asking({ cpu: '2' }, {}, { deletionTimestamp: '2026-01-01T00:00:00Z' })
  assert.equal(verdict(asking({ cpu: '2' }), [leaving]), undefined)
  assert.equal(verdict(asking({ cpu: '3' }, { priority: 2_000_000_000 })), undefined)
  assert.deepEqual(verdict(asking({}, { nodeSelector: { disk: 'hdd' } })), {
    reason: 'NodeAffinity',
    message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  })
  const spec = { taints: [{ key: 'k', value: 'v', effect: 'NoExecute' }] }
  assert.equal(verdict(asking({}), [], { spec })?.reason, 'TaintToleration')
  assert.equal(verdict(asking({}, { tolerations: [{ operator: 'Exists' }] }), [], { spec }), undefined)
  assert.equal(verdict(asking({}), [], { spec: { taints: [{ ...spec.taints[0], effect: 'NoSchedule' }] } }), undefined)
})

test('signals have numbers, real-time ones too', () => {
  assert.deepEqual(['SIGTERM', 'SIGUSR1', 'SIGRTMIN+3', 'SIGRTMAX'].map(signalNumber), [15, 10, 37, 64])
})

test('limits of the Pod as a whole hold for containers without their own', () => {
  const whole = (cpu: string) => ({ limits: { cpu, memory: '1Gi' }, requests: { cpu, memory: '1Gi' } })
  const pod = (cpu: string) => podOf({ containers: [{ name: 'main', image: 'x' }], resources: whole(cpu) })
  const record = recordOf('main', { resources: {}, bounds: whole('1').limits })
  const view = viewOf(pod('2'), [record], { granted: asked(pod('1')), wholeApplied: whole('1') })
  settle(view, node, () => node)
  const steps = () => plan(view, createBackoff(), 0).steps.map((step) => step.do)
  assert.deepEqual(steps(), ['resize-pod', 'resize'])
  assert.deepEqual(openResizes(view)[0]!.bounds, { cpu: '2', memory: '1Gi' })
  // Shrinking, the containers go first.
  view.wholeApplied = whole('4')
  record.bounds = whole('4').limits
  assert.deepEqual(steps(), ['resize'])
  view.wholeApplied = whole('2')
  record.bounds = whole('2').limits
  assert.deepEqual(steps(), [])
})

test('the user of a process is read from the kernel', () => {
  const text = 'Name:\tsh\nUid:\t1000\t1000\t1000\t1000\nGid:\t3000\t3000\t3000\t3000\nGroups:\t4000 50000 \n'
  assert.deepEqual(parseUser(text), { uid: 1000, gid: 3000, supplementalGroups: [4000, 50000] })
})
