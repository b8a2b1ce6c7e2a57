// Mirrors of Pods from files.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { mirrorAnnotation, mirrorOf, mirrorSteps } from './static-pods.ts'

const node = { name: 'Machine', uid: 'u1' }
const manifest = (image: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'etcd', namespace: 'kube-system', labels: { tier: 'control-plane' } },
  spec: { containers: [{ name: 'etcd', image }] },
})

test('a mirror carries the name of its node and says where it comes from', () => {
  const { metadata, spec } = mirrorOf(manifest('etcd:1'), node)
  assert.equal(metadata.name, 'etcd-machine')
  assert.equal(spec.nodeName, 'Machine')
  assert.equal(metadata.annotations!['kubernetes.io/config.source'], 'file')
  assert.deepEqual(spec.tolerations, [{ operator: 'Exists', effect: 'NoExecute' }])
  assert.equal(metadata.ownerReferences![0]!.kind, 'Node')
  assert.throws(() => mirrorOf({ kind: 'Service' }, node), /not a v1 Pod/)
})

test('a file that changed makes another Pod; one that is gone takes its Pod with it', () => {
  const old = mirrorOf(manifest('etcd:1'), node) as StoredObject
  const fresh = mirrorOf(manifest('etcd:2'), node)
  assert.notEqual(old.metadata.annotations![mirrorAnnotation], fresh.metadata.annotations![mirrorAnnotation])
  assert.deepEqual(mirrorSteps([old], [old]), { create: [], remove: [] })
  assert.deepEqual(mirrorSteps([fresh], [old]), { create: [], remove: [old] })
  assert.deepEqual(mirrorSteps([fresh], []), { create: [fresh], remove: [] })
  assert.deepEqual(mirrorSteps([], [old]), { create: [], remove: [old] })
})
