// The type check of ValidatingAdmissionPolicies, as its author reads it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ResourceRef } from '../api/meta.ts'
import { startTestPlatform } from './platform.fixture.ts'

const policies: ResourceRef = {
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  resource: 'validatingadmissionpolicies',
}

const policy = (name: string, validations: object[], more: object = {}) => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingAdmissionPolicy',
  metadata: { name },
  spec: {
    matchConstraints: {
      resourceRules: [{ operations: ['CREATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] }],
    },
    validations,
    ...more,
  },
})

test('expressions are checked against the kinds of the rules', async (context) => {
  const { client, until, stop } = await startTestPlatform()
  context.after(stop)
  const checked = async (name: string, validations: object[], more: object = {}) => {
    await client.create(policies, policy(name, validations, more))
    return (await until(policies, name, (one: any) => one?.status?.typeChecking !== undefined)).status as any
  }
  const right = await checked('right', [{ expression: 'object.spec.replicas > 1' }])
  assert.deepEqual(right, { observedGeneration: 1, typeChecking: {} })

  const { expressionWarnings } = (
    await checked('confused', [
      { expression: "object.spec.replicas > '1'", messageExpression: "'got ' + object.spec.replicas" },
      { expression: 'object.spec.nope == 1' },
    ])
  ).typeChecking
  assert.deepEqual(
    expressionWarnings.map((one: any) => one.fieldRef),
    ['spec.validations[0].expression', 'spec.validations[0].messageExpression', 'spec.validations[1].expression'],
  )
  assert.match(
    expressionWarnings[0].warning,
    /^apps\/v1, Kind=Deployment: compilation failed: ERROR: <input>:1:22: found no matching overload for '_>_' applied to '\(int, string\)'/,
  )
  assert.match(expressionWarnings[1].warning, /found no matching overload for '_\+_' applied to '\(string, int\)'/)
  assert.match(expressionWarnings[2].warning, /undefined field 'nope'/)

  const composed = await checked('composed', [{ expression: 'variables.count > 1 && params.data.max == "3"' }], {
    paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
    variables: [{ name: 'count', expression: 'object.spec.replicas' }],
  })
  assert.deepEqual(composed.typeChecking, {})
})
