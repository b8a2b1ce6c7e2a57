// Parameters of classes that are ours, and of others.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ingressClass } from './ingressclass.ts'

test('parameters of our own class have no effect, and it says so once', () => {
  const classOf = (controller: string) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name: 'x' },
    spec: { controller, parameters: { kind: 'Settings', name: 'x', scope: 'Cluster' } },
  })
  const own = classOf('tandem.dev/ingress')
  assert.match(ingressClass.warnings!(own)[0]!, /^spec.parameters has no effect/)
  assert.deepEqual(ingressClass.warnings!(own, own), [])
  assert.deepEqual(ingressClass.warnings!(classOf('example.com/ingress')), [])
})
