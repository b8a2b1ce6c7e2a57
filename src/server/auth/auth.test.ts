// Who may do what: RBAC decisions and refusals, escalation, impersonation, tokens, reviews.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configMap, maps, startServer, type TestServer, userNamed } from '../server.fixture.ts'
import { certificateUser, impersonation } from './authn.ts'
import { type Attributes, ruleAllows } from './authz.ts'
import { uncovered } from './escalation.ts'

const rbac = '/apis/rbac.authorization.k8s.io/v1'
const bob = { user: userNamed('bob') }

const role = (name: string, verbs: string[], resources: string[], resourceNames?: string[]) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'Role',
  metadata: { name },
  rules: [{ apiGroups: [''], resources, verbs, ...(resourceNames && { resourceNames }) }],
})

const binding = (name: string, roleName: string, subject: object, kind = 'Role') => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'RoleBinding',
  metadata: { name },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: roleName },
  subjects: [subject],
})

const user = (name: string) => ({ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name })

const give = async ({ ok }: TestServer, verbs: string[], resources: string[], names?: string[]) => {
  await ok('POST', `${rbac}/namespaces/default/roles`, role('r', verbs, resources, names))
  await ok('POST', `${rbac}/namespaces/default/rolebindings`, binding('b', 'r', user('bob')))
}

test('refusals say what upstream says', async () => {
  const { refused } = await startServer()
  const said = (url: string) => refused(403, 'GET', url, undefined, bob)
  const core = 'in API group ""'
  assert.equal(
    await said('/api/v1/namespaces/default/pods'),
    `pods is forbidden: User "bob" cannot list resource "pods" ${core} in the namespace "default"`,
  )
  assert.equal(
    await said('/api/v1/nodes'),
    `nodes is forbidden: User "bob" cannot list resource "nodes" ${core} at the cluster scope`,
  )
  assert.equal(
    await said('/api/v1/namespaces/default/pods/x/log'),
    `pods "x" is forbidden: User "bob" cannot get resource "pods/log" ${core} in the namespace "default"`,
  )
  assert.equal(
    await said('/apis/apps/v1/namespaces/default/deployments/x'),
    'deployments.apps "x" is forbidden: User "bob" cannot get resource "deployments" in API group "apps" in the namespace "default"',
  )
  assert.equal(await said('/metrics'), 'forbidden: User "bob" cannot get path "/metrics"')
})

test('a binding gives at once and takes at once', async () => {
  const tandem = await startServer()
  await give(tandem, ['get', 'list'], ['configmaps'])
  await tandem.ok('GET', maps, undefined, bob)
  await tandem.refused(403, 'GET', '/api/v1/namespaces/kube-system/configmaps', undefined, bob)
  await tandem.refused(403, 'POST', maps, configMap('a'), bob)
  await tandem.ok('DELETE', `${rbac}/namespaces/default/rolebindings/b`)
  await tandem.refused(403, 'GET', maps, undefined, bob)
})

test('resourceNames allow one object, also as a list or watch by its name', async () => {
  const tandem = await startServer()
  await give(tandem, ['get', 'list'], ['configmaps'], ['a'])
  await tandem.ok('POST', maps, configMap('a'))
  await tandem.ok('GET', `${maps}/a`, undefined, bob)
  await tandem.ok('GET', `${maps}?fieldSelector=metadata.name=a`, undefined, bob)
  await tandem.refused(403, 'GET', `${maps}/b`, undefined, bob)
  await tandem.refused(403, 'GET', maps, undefined, bob)
  await tandem.refused(403, 'GET', `${maps}?fieldSelector=metadata.name!=a`, undefined, bob)
})

test('a binding to a role that is not there shows in the refusal', async () => {
  const tandem = await startServer()
  await tandem.ok('POST', `${rbac}/namespaces/default/rolebindings`, binding('b', 'ghost', user('bob')))
  assert.match(
    await tandem.refused(403, 'GET', maps, undefined, bob),
    /: RBAC: role.rbac.authorization.k8s.io "ghost" not found$/,
  )
})

test('nobody grants what they do not hold', async () => {
  const tandem = await startServer()
  await tandem.ok(
    'POST',
    `${rbac}/namespaces/default/rolebindings`,
    binding('admins', 'admin', user('bob'), 'ClusterRole'),
  )
  await tandem.ok('POST', `${rbac}/namespaces/default/roles`, role('fine', ['get'], ['pods']), bob)
  const text = await tandem.refused(
    403,
    'POST',
    `${rbac}/namespaces/default/roles`,
    role('bad', ['get'], ['nodes']),
    bob,
  )
  assert.match(
    text,
    /^roles.rbac.authorization.k8s.io "bad" is forbidden: user "bob" \(groups=\["system:authenticated"\]\) is attempting to grant RBAC permissions not currently held:\n{APIGroups:\[""\], Resources:\["nodes"\], Verbs:\["get"\]}$/,
  )
  await tandem.refused(
    403,
    'POST',
    `${rbac}/namespaces/default/rolebindings`,
    binding('up', 'cluster-admin', user('bob'), 'ClusterRole'),
    bob,
  )
})

const asked = (verb: string, resource: string, more: Partial<Attributes> = {}): Attributes => ({
  verb,
  isResource: true,
  path: '',
  group: '',
  version: 'v1',
  resource,
  subresource: '',
  namespace: '',
  name: '',
  ...more,
})

test('rules match groups, subresources and URLs', () => {
  const rule = (resources: string[], verbs = ['get']) => ({ apiGroups: [''], resources, verbs })
  assert.equal(ruleAllows(rule(['pods']), asked('get', 'pods', { subresource: 'log' })), false)
  assert.equal(ruleAllows(rule(['pods/log']), asked('get', 'pods', { subresource: 'log' })), true)
  assert.equal(ruleAllows(rule(['*/scale']), asked('get', 'x', { subresource: 'scale' })), true)
  assert.equal(ruleAllows(rule(['*']), asked('get', 'x', { group: 'apps' })), false)
  const urls = { verbs: ['get'], nonResourceURLs: ['/api/*'] }
  const path = (text: string) => asked('get', '', { isResource: false, path: text })
  assert.deepEqual([ruleAllows(urls, path('/api/v1')), ruleAllows(urls, path('/apis'))], [true, false])
})

test('what is covered and what is not', () => {
  const held = [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', '*/status'] }]
  const wanted = [{ verbs: ['get', 'delete'], apiGroups: [''], resources: ['pods', 'nodes/status'] }]
  assert.deepEqual(
    uncovered(held, wanted).map((rule) => `${rule.verbs} ${rule.resources}`),
    ['delete pods', 'delete nodes/status'],
  )
})

test('impersonation needs permission for every part', async () => {
  const tandem = await startServer()
  const as = (headers: Record<string, string>, more = {}) => ({ ...more, headers })
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
  const url = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const seen = await tandem.ok('POST', url, review, as({ 'impersonate-user': 'eve', 'impersonate-group': 'dev' }))
  assert.deepEqual(seen.status.userInfo, { username: 'eve', groups: ['dev', 'system:authenticated'] })
  assert.match(
    await tandem.refused(403, 'POST', url, review, as({ 'impersonate-user': 'eve' }, bob)),
    /^users "eve" is forbidden: User "bob" cannot impersonate resource "users" in API group "" at the cluster scope$/,
  )
  await tandem.refused(400, 'POST', url, review, as({ 'impersonate-group': 'system:masters' }, bob))
  assert.throws(() => impersonation({ 'impersonate-uid': '1' }))
})

test('certificates name user and groups', () => {
  assert.deepEqual(certificateUser({ CN: 'a', O: ['x', 'y'] }), {
    name: 'a',
    groups: ['x', 'y', 'system:authenticated'],
  })
  assert.equal(certificateUser({ O: 'x' }), undefined)
  assert.deepEqual(certificateUser({ CN: 'a' }, 'AB:CD')?.extra, {
    'authentication.kubernetes.io/credential-id': ['X509SHA256=abcd'],
  })
})

test('a service-account token lives as long as its account and its Pod', async () => {
  const tandem = await startServer()
  const accounts = '/api/v1/namespaces/default/serviceaccounts'
  const made = await tandem.ok('POST', accounts, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  const pods = '/api/v1/namespaces/default/pods'
  const pod = await tandem.ok('POST', pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  })
  const request = (spec: object) => ({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec })
  const bound = { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: pod.metadata.uid } }
  const { status } = await tandem.ok('POST', `${accounts}/default/token`, request(bound))
  const who = await tandem.server.authenticate({ headers: { authorization: `Bearer ${status.token}` } })
  assert.equal(who.name, 'system:serviceaccount:default:default')
  assert.equal(who.uid, made.metadata.uid)
  assert.deepEqual(who.extra?.['authentication.kubernetes.io/pod-name'], ['p'])
  const unauthorized = { reason: 'Unauthorized' }
  const forged = `${status.token.slice(0, -4)}AAAA`
  await assert.rejects(tandem.server.authenticate({ headers: { authorization: `Bearer ${forged}` } }), unauthorized)
  await tandem.ok('DELETE', `${pods}/p`)
  await assert.rejects(
    tandem.server.authenticate({ headers: { authorization: `Bearer ${status.token}` } }),
    unauthorized,
  )
  await tandem.refused(422, 'POST', `${accounts}/default/token`, request({ expirationSeconds: 60 }))
  await tandem.refused(400, 'POST', `${accounts}/default/token`, request({ audiences: 'vault' }))
  const own = await tandem.ok('POST', `${accounts}/default/token`, request({ audiences: null }))
  assert.equal(own.spec.audiences.length, 1)
  const other = await tandem.ok('POST', `${accounts}/default/token`, request({ audiences: ['vault'] }))
  await assert.rejects(
    tandem.server.authenticate({ headers: { authorization: `Bearer ${other.status.token}` } }),
    unauthorized,
  )
})

test('credentials that do not hold are refused, no credentials are anonymous', async () => {
  const { server } = await startServer()
  const unauthorized = { reason: 'Unauthorized' }
  assert.equal((await server.authenticate({ headers: {} })).name, 'system:anonymous')
  await assert.rejects(server.authenticate({ headers: { authorization: 'Basic eDp5' } }), unauthorized)
  await assert.rejects(server.authenticate({ headers: {}, badCertificate: true }), unauthorized)
  assert.equal((await server.authenticate({ headers: { 'x-remote-user': 'root' } })).name, 'system:anonymous')
})

test('access reviews answer for oneself and for others', async () => {
  const tandem = await startServer()
  await give(tandem, ['get'], ['pods'])
  const group = '/apis/authorization.k8s.io/v1'
  const question = (kind: string, spec: object) => ({ apiVersion: 'authorization.k8s.io/v1', kind, spec })
  const resourceAttributes = { verb: 'get', resource: 'pods', namespace: 'default' }
  const own = await tandem.ok(
    'POST',
    `${group}/selfsubjectaccessreviews`,
    question('SelfSubjectAccessReview', { resourceAttributes }),
    bob,
  )
  assert.equal(own.status.allowed, true)
  await tandem.refused(406, 'POST', `${group}/selfsubjectaccessreviews`, question('SelfSubjectAccessReview', {}), {
    ...bob,
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  })
  const other = question('SubjectAccessReview', {
    user: 'bob',
    resourceAttributes: { ...resourceAttributes, verb: 'delete' },
  })
  assert.equal((await tandem.ok('POST', `${group}/subjectaccessreviews`, other)).status.allowed, false)
  const rules = await tandem.ok(
    'POST',
    `${group}/selfsubjectrulesreviews`,
    question('SelfSubjectRulesReview', { namespace: 'default' }),
    bob,
  )
  assert.ok(rules.status.resourceRules.some((rule: any) => rule.resources.includes('pods')))
})

test('an aggregated role needs cluster-admin, and the built-in ones hold what their parts hold', async () => {
  const tandem = await startServer()
  const everyone = { kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'system:authenticated' }
  await tandem.ok('POST', `${rbac}/clusterroles`, {
    ...role('role-maker', ['create'], ['clusterroles']),
    kind: 'ClusterRole',
    rules: [{ apiGroups: ['rbac.authorization.k8s.io'], resources: ['clusterroles'], verbs: ['create'] }],
  })
  await tandem.ok('POST', `${rbac}/clusterrolebindings`, {
    ...binding('b', 'role-maker', everyone, 'ClusterRole'),
    kind: 'ClusterRoleBinding',
  })
  const grown = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'grown' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] },
  }
  assert.match(
    await tandem.refused(403, 'POST', `${rbac}/clusterroles`, grown, bob),
    /must have cluster-admin privileges to use an aggregationRule/,
  )
  const admin = await tandem.ok('GET', `${rbac}/clusterroles/admin`)
  const resources = admin.rules.flatMap((rule: { resources?: string[] }) => rule.resources ?? [])
  for (const one of ['pods', 'secrets', 'rolebindings', 'virtualmachines']) assert.ok(resources.includes(one), one)
})
