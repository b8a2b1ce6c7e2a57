// Whether a ClusterIsolationPolicy can be kept, as its status says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ResourceRef } from '../api/meta.ts'
import { startTestPlatform } from './platform.fixture.ts'
import { runtimeClasses } from './resources.ts'

const policies: ResourceRef = { group: 'policy.tandem.dev', version: 'v1alpha1', resource: 'clusterisolationpolicies' }

test('a policy says whether its classes are there and strong enough', async (context) => {
  const { client, until, stop } = await startTestPlatform()
  context.after(stop)
  const told = async (reason: string) => {
    const is = (one: any) => one?.status?.conditions?.[0]?.reason === reason
    const { status, metadata } = await until(policies, 'p', is)
    const { type, status: holds, message, observedGeneration } = (status as any).conditions[0]
    assert.equal(observedGeneration, metadata.generation)
    return [type, holds, message]
  }
  const policy = (rules: object[]) => ({
    apiVersion: 'policy.tandem.dev/v1alpha1',
    kind: 'ClusterIsolationPolicy',
    metadata: { name: 'p' },
    spec: { rules },
  })
  const rule = { name: 'r', minimum: 'microvm', runtimeClassName: 'strong' }
  await client.create(policies, policy([{ name: 'only', minimum: 'vm' }, rule]))
  assert.deepEqual(await told('RuntimeClassNotFound'), [
    'Ready',
    'False',
    'rule "r" chooses RuntimeClass "strong", which is not there: its Pods are refused',
  ])
  const runtimeClass = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'strong' } }
  await client.create(runtimeClasses, { ...runtimeClass, handler: 'kata' })
  assert.deepEqual(await told('RulesInForce'), ['Ready', 'True', '2 rules are in force'])
  await client.delete(runtimeClasses, 'strong')
  await told('RuntimeClassNotFound')
  await client.create(runtimeClasses, { ...runtimeClass, handler: 'runsc' })
  assert.match(String((await told('RuntimeClassTooWeak'))[2]), /gives "sandboxed", and demands "microvm"/)
})
