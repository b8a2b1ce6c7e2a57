// What nodes may do in their own name, and what admission adds to nodes, Pods and Ingresses.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UserInfo } from '../../api/exchange.ts'
import { patchType, startServer } from '../server.fixture.ts'

const node = (name: string, more: object = {}) => ({ apiVersion: 'v1', kind: 'Node', metadata: { name, ...more } })
const pods = '/api/v1/namespaces/default/pods'

const kubelet = (name: string): UserInfo => ({
  name: `system:node:${name}`,
  groups: ['system:nodes', 'system:authenticated'],
})

async function withNode() {
  const tandem = await startServer()
  const { ok } = tandem
  // RBAC lets nodes do what the Node authorizer does upstream; admission is what is tested here.
  await ok('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'everything' },
    rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
  })
  await ok('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'nodes' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'everything' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:nodes' }],
  })
  const labels = { 'topology.kubernetes.io/zone': 'z1', 'topology.kubernetes.io/region': 'r1', other: 'x' }
  await ok('POST', '/api/v1/nodes', node('n1', { labels }))
  await ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  const as = (name: string) => ({ user: kubelet(name) })
  return { ...tandem, as }
}

const pod = (name: string, spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...metadata },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})

test('a new node takes nothing before it is ready', async () => {
  const { ok } = await startServer()
  const { spec } = await ok('POST', '/api/v1/nodes', node('n'))
  assert.deepEqual(spec.taints, [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }])
})

test('a node speaks for itself only', async () => {
  const { ok, refused, as } = await withNode()
  const merge = patchType('merge')
  assert.match(
    await refused(403, 'PATCH', '/api/v1/nodes/n1', { metadata: { labels: { a: 'b' } } }, { ...merge, ...as('n2') }),
    /node "n2" is not allowed to modify node "n1"/,
  )
  await ok('PATCH', '/api/v1/nodes/n1', { metadata: { labels: { a: 'b' } } }, { ...merge, ...as('n1') })
  assert.match(
    await refused(403, 'PATCH', '/api/v1/nodes/n1', { spec: { taints: [] } }, { ...merge, ...as('n1') }),
    /node "n1" is not allowed to modify taints/,
  )
  const labels = { 'node-restriction.kubernetes.io/x': 'y', 'kubernetes.io/hostname': 'n1', 'k8s.io/x': 'y' }
  assert.match(
    await refused(403, 'PATCH', '/api/v1/nodes/n1', { metadata: { labels } }, { ...merge, ...as('n1') }),
    /is not allowed to modify labels: k8s.io\/x, node-restriction.kubernetes.io\/x$/,
  )
  assert.match(
    await refused(403, 'POST', '/api/v1/nodes', node('n3'), {
      user: { name: 'someone', groups: ['system:nodes', 'system:authenticated'] },
    }),
    /could not determine node from user "someone"/,
  )
})

test('a node changes its own Pods only, and makes none but mirrors', async () => {
  const { ok, refused, as } = await withNode()
  await ok('POST', pods, pod('p', { nodeName: 'n1' }))
  const status = { status: { phase: 'Running' } }
  assert.match(
    await refused(403, 'PATCH', `${pods}/p/status`, status, { ...patchType('merge'), ...as('n2') }),
    /node "n2" can only update pod status for pods with spec.nodeName set to itself/,
  )
  await ok('PATCH', `${pods}/p/status`, status, { ...patchType('merge'), ...as('n1') })
  assert.match(
    await refused(403, 'DELETE', `${pods}/p`, undefined, as('n2')),
    /node "n2" can only delete pods with spec.nodeName set to itself/,
  )
  assert.match(await refused(403, 'POST', pods, pod('q', { nodeName: 'n1' }), as('n1')), /can only create mirror pods/)
})

test('a token for a Pod is given to the node where it runs', async () => {
  const { ok, refused, as } = await withNode()
  const { metadata } = await ok('POST', pods, pod('p', { nodeName: 'n1' }))
  const path = '/api/v1/namespaces/default/serviceaccounts/default/token'
  const asked = (boundObjectRef?: object) => ({ spec: { audiences: [], ...(boundObjectRef && { boundObjectRef }) } })
  const ref = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: metadata.uid }
  assert.match(await refused(403, 'POST', path, asked(), as('n1')), /node requested token not bound to a pod/)
  assert.match(await refused(403, 'POST', path, asked(ref), as('n2')), /bound to a pod scheduled on a different node/)
  await ok('POST', path, asked(ref), as('n1'))
})

test('a Pod knows the zone of its node', async () => {
  const { ok } = await withNode()
  await ok('POST', pods, pod('p', {}, { labels: { app: 'x' } }))
  const binding = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target: { kind: 'Node', name: 'n1' } }
  await ok('POST', `${pods}/p/binding`, binding)
  assert.deepEqual((await ok('GET', `${pods}/p`)).metadata.labels, {
    'isolation.tandem.dev/level': 'container',
    app: 'x',
    'topology.kubernetes.io/zone': 'z1',
    'topology.kubernetes.io/region': 'r1',
  })
})

test('an Ingress without a class gets the default one', async () => {
  const { ok } = await startServer()
  const group = '/apis/networking.k8s.io/v1'
  await ok('POST', `${group}/ingressclasses`, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name: 'mine', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
    spec: { controller: 'example.com/mine' },
  })
  const ingress = (name: string, more: object = {}) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name },
    spec: { defaultBackend: { service: { name: 's', port: { number: 80 } } }, ...more },
  })
  const path = `${group}/namespaces/default/ingresses`
  assert.equal((await ok('POST', path, ingress('a'))).spec.ingressClassName, 'mine')
  assert.equal((await ok('POST', path, ingress('b', { ingressClassName: 'other' }))).spec.ingressClassName, 'other')
})

test('only one PriorityClass is the default', async () => {
  const { ok, refused } = await startServer()
  const path = '/apis/scheduling.k8s.io/v1/priorityclasses'
  const one = (name: string) => ({
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name },
    value: 1,
    globalDefault: true,
  })
  await ok('POST', path, one('a'))
  assert.match(
    await refused(403, 'POST', path, one('b')),
    /PriorityClass a is already marked as default. Only one default can exist/,
  )
})
