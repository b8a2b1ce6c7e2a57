// Admission policies as a client meets them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configMap, maps, startServer, type TestServer, userNamed } from '../../server.fixture.ts'

const registration = '/apis/admissionregistration.k8s.io/v1'
const deployments = '/apis/apps/v1/namespaces/default/deployments'

const rules = (operations: string[], group: string, resource: string, more: object = {}) => ({
  resourceRules: [{ operations, apiGroups: [group], apiVersions: ['v1'], resources: [resource] }],
  ...more,
})
const onDeployments = rules(['CREATE', 'UPDATE'], 'apps', 'deployments')
const onMaps = rules(['*'], '', 'configmaps')

const deployment = (name: string, replicas: number, more: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, labels: { app: 'web' } },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'web', image: 'web:1' }], ...more },
    },
  },
})

type Kind = 'Validating' | 'Mutating'
const post = (tandem: TestServer, kind: Kind, name: string, spec: object) =>
  tandem.ok('POST', `${registration}/${kind.toLowerCase()}admissionpolicies`, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}AdmissionPolicy`,
    metadata: { name },
    spec,
  })
const bind = (tandem: TestServer, kind: Kind, name: string, policyName: string, more: object = {}) =>
  tandem.ok('POST', `${registration}/${kind.toLowerCase()}admissionpolicybindings`, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: `${kind}AdmissionPolicyBinding`,
    metadata: { name },
    spec: { policyName, ...(kind === 'Validating' && { validationActions: ['Deny'] }), ...more },
  })
async function validating(spec: object, binding: object = {}) {
  const tandem = await startServer()
  await post(tandem, 'Validating', 'p', spec)
  await bind(tandem, 'Validating', 'b', 'p', binding)
  return tandem
}
async function mutating(mutations: object[], more: object = {}, binding: object = {}) {
  const tandem = await startServer()
  const spec = { matchConstraints: onDeployments, reinvocationPolicy: 'Never', mutations, ...more }
  await post(tandem, 'Mutating', 'm', spec)
  await bind(tandem, 'Mutating', 'mb', 'm', binding)
  return tandem
}
const apply = (expression: string) => ({ patchType: 'ApplyConfiguration', applyConfiguration: { expression } })
const json = (expression: string) => ({ patchType: 'JSONPatch', jsonPatch: { expression } })

test('a validation that is false refuses the request', async () => {
  const tandem = await validating({
    matchConstraints: onDeployments,
    validations: [
      {
        expression: 'object.spec.replicas > 1',
        messageExpression: "'wants replicas > 1, got ' + string(object.spec.replicas)",
      },
      { expression: "namespaceObject.metadata.name == 'default'", message: 'wrong namespace' },
    ],
  })
  assert.equal(
    await tandem.refused(422, 'POST', deployments, deployment('one', 1)),
    `deployments.apps "one" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: wants replicas > 1, got 1`,
  )
  await tandem.ok('POST', deployments, deployment('two', 2))
  await tandem.ok('POST', maps, configMap('free'))
})

test('a policy without a binding does nothing, and ends with its binding', async () => {
  const tandem = await startServer()
  await post(tandem, 'Validating', 'p', { matchConstraints: onMaps, validations: [{ expression: 'false' }] })
  await tandem.ok('POST', maps, configMap('a'))
  await bind(tandem, 'Validating', 'b', 'p')
  assert.match(await tandem.refused(422, 'POST', maps, configMap('c')), /failed expression: false$/)
  await tandem.ok('DELETE', `${registration}/validatingadmissionpolicybindings/b`)
  await tandem.ok('POST', maps, configMap('c'))
})

test('variables are composed, in any expression after them', async () => {
  const tandem = await validating({
    matchConstraints: onDeployments,
    variables: [
      { name: 'replicas', expression: 'object.spec.replicas' },
      { name: 'odd', expression: 'variables.replicas % 2 == 1' },
    ],
    validations: [{ expression: 'variables.replicas > 1' }, { expression: 'variables.odd', reason: 'Forbidden' }],
  })
  assert.match(
    await tandem.refused(422, 'POST', deployments, deployment('a', 1)),
    /failed expression: variables.replicas > 1/,
  )
  assert.match(await tandem.refused(403, 'POST', deployments, deployment('a', 2)), /failed expression: variables.odd/)
  await tandem.ok('POST', deployments, deployment('a', 3))
})

test('params: by name, by selector, missing', async () => {
  const spec = {
    paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
    matchConstraints: onDeployments,
    validations: [
      { expression: 'object.spec.replicas <= int(params.data.max)', messageExpression: "'at most ' + params.data.max" },
    ],
  }
  const named = await validating(spec, { paramRef: { name: 'limit', parameterNotFoundAction: 'Deny' } })
  assert.match(
    await named.refused(422, 'POST', deployments, deployment('a', 9)),
    /failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction/,
  )
  await named.ok('POST', maps, { ...configMap('limit'), data: { max: '3' } })
  assert.match(await named.refused(422, 'POST', deployments, deployment('a', 9)), /at most 3$/)
  await named.ok('POST', deployments, deployment('a', 3))

  const selected = await validating(spec, {
    paramRef: { selector: { matchLabels: { limits: 'yes' } }, namespace: 'default', parameterNotFoundAction: 'Allow' },
  })
  await selected.ok('POST', deployments, deployment('a', 9))
  for (const [name, max] of [
    ['one', '8'],
    ['two', '5'],
  ]) {
    await selected.ok('POST', maps, {
      ...configMap(name!),
      metadata: { name, labels: { limits: 'yes' } },
      data: { max },
    })
  }
  assert.match(await selected.refused(422, 'POST', deployments, deployment('b', 6)), /at most 5$/)
})

test('rules, exclusions, names and selectors say whom a policy is about', async () => {
  const tandem = await validating(
    {
      matchConstraints: {
        resourceRules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['*'], resources: ['configmaps'] }],
        excludeResourceRules: [
          {
            operations: ['*'],
            apiGroups: [''],
            apiVersions: ['*'],
            resources: ['configmaps'],
            resourceNames: ['free'],
          },
        ],
        objectSelector: { matchExpressions: [{ key: 'skip', operator: 'DoesNotExist' }] },
      },
      matchConditions: [{ name: 'not-kind', expression: "!request.name.startsWith('kind-')" }],
      validations: [{ expression: 'false', message: 'no' }],
    },
    { matchResources: { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } } } },
  )
  await tandem.refused(422, 'POST', maps, configMap('any'))
  await tandem.ok('POST', maps, configMap('free'))
  await tandem.ok('POST', maps, configMap('kind-of'))
  await tandem.ok('POST', maps, { ...configMap('skips'), metadata: { name: 'skips', labels: { skip: '1' } } })
  await tandem.ok('POST', maps.replace('default', 'kube-system'), configMap('elsewhere'))
  await tandem.ok('DELETE', `${maps}/free`)
})

test('an expression that fails: the failure policy decides', async () => {
  const spec = { matchConstraints: onMaps, validations: [{ expression: 'object.data.missing == "x"' }] }
  const closed = await validating(spec)
  assert.match(
    await closed.refused(422, 'POST', maps, { ...configMap('a'), data: { other: '1' } }),
    /expression 'object.data.missing == "x"' resulted in error: no such key: missing$/,
  )
  const open = await validating({ ...spec, failurePolicy: 'Ignore' })
  await open.ok('POST', maps, { ...configMap('a'), data: { other: '1' } })
})

test('warn and audit do not refuse', async () => {
  const tandem = await validating(
    { matchConstraints: onMaps, validations: [{ expression: 'false', message: 'think again' }] },
    { validationActions: ['Warn', 'Audit'] },
  )
  const { warnings } = await tandem.call('POST', maps, configMap('a'))
  assert.match(
    warnings?.join() ?? '',
    /Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': think again/,
  )
})

test('expressions that do not compile, or have the wrong type, are refused with the place', async () => {
  const tandem = await startServer()
  const refused = (spec: object) =>
    tandem.refused(422, 'POST', `${registration}/validatingadmissionpolicies`, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'p' },
      spec: { matchConstraints: onMaps, ...spec },
    })
  const validation = (expression: string) => ({ validations: [{ expression }] })
  assert.match(
    await refused(validation('object.x')),
    /spec.validations\[0\].expression: Invalid value: "object.x": must evaluate to bool but got dyn/,
  )
  assert.match(await refused(validation('foo == 1')), /undeclared reference to 'foo' \(in container ''\)/)
  assert.match(await refused(validation('request.nope == 1')), /undefined field 'nope'/)
  assert.match(await refused(validation('params.x == 1')), /undeclared reference to 'params'/)
  assert.match(await refused({}), /validations or auditAnnotations must contain at least one item/)
  assert.match(
    await refused({ ...validation('variables.a'), variables: [{ name: 'a-b', expression: '1' }] }),
    /must be a valid CEL identifier/,
  )
})

test('an expression may ask the authorizer', async () => {
  const tandem = await validating({
    matchConstraints: onMaps,
    validations: [
      { expression: "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()" },
    ],
  })
  await tandem.ok('POST', maps, configMap('a'))
})

test('an apply configuration is merged into the object', async () => {
  const tandem = await mutating([
    apply(
      'Object{metadata: Object.metadata{annotations: {"mutated-by": "admission-policy"}}, spec: Object.spec{replicas: 1337}}',
    ),
    apply(`Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
      initContainers: [Object.spec.template.spec.initContainers{name: "wait", image: "wait:1"}]}}}}`),
  ])
  const { metadata, spec } = await tandem.ok('POST', deployments, deployment('a', 1))
  assert.equal(metadata.annotations['mutated-by'], 'admission-policy')
  assert.equal(spec.replicas, 1337)
  const { initContainers, containers } = spec.template.spec
  assert.deepEqual([initContainers[0].name, initContainers[0].terminationMessagePath], ['wait', '/dev/termination-log'])
  assert.equal(containers[0].name, 'web')
})

test('a JSON patch is applied; a test that fails leaves the object as it is', async () => {
  const tandem = await mutating([
    json('[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/team"), value: "a"}]'),
    json(
      '[JSONPatch{op: "test", path: "/spec/replicas", value: 7}, JSONPatch{op: "replace", path: "/spec/replicas", value: 8}]',
    ),
  ])
  const { metadata, spec } = await tandem.ok('POST', deployments, deployment('a', 1))
  assert.equal(metadata.labels['example.com/team'], 'a')
  assert.equal(spec.replicas, 1)
  assert.equal((await tandem.ok('POST', deployments, deployment('b', 7))).spec.replicas, 8)
})

test('a mutation that fails refuses the request, unless failures are ignored', async () => {
  const wrong = [apply('Object{spec: Object.wrong{replicas: 1}}')]
  const closed = await mutating(wrong)
  assert.match(
    await closed.refused(422, 'POST', deployments, deployment('a', 1)),
    /^policy 'm' with binding 'mb' denied request: .*unexpected type name "Object.wrong", expected "Object.spec"/,
  )
  const open = await mutating(wrong, { failurePolicy: 'Ignore' })
  assert.equal((await open.ok('POST', deployments, deployment('a', 1))).spec.replicas, 1)
  const atomic = await mutating([
    apply('Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {"a": "b"}}}}'),
  ])
  assert.match(
    await atomic.refused(422, 'POST', deployments, deployment('a', 1)),
    /may not mutate atomic arrays, maps or structs: .spec.selector/,
  )
})

test('a policy that asks for it runs again when another one changed the object after it', async () => {
  const tandem = await mutating(
    [json('[JSONPatch{op: "add", path: "/metadata/labels/seen", value: string(object.spec.replicas)}]')],
    { reinvocationPolicy: 'IfNeeded' },
  )
  const second = {
    matchConstraints: onDeployments,
    reinvocationPolicy: 'Never',
    mutations: [apply('Object{spec: Object.spec{replicas: 4}}')],
  }
  await post(tandem, 'Mutating', 'n', second)
  await bind(tandem, 'Mutating', 'nb', 'n')
  const { metadata, spec } = await tandem.ok('POST', deployments, deployment('a', 1))
  assert.deepEqual([metadata.labels.seen, spec.replicas], ['4', 4])
})

test('who names params must be allowed to read them', async () => {
  const tandem = await startServer()
  const paramKind = { apiVersion: 'v1', kind: 'Secret' }
  const author = userNamed('author')
  await tandem.ok('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'policies' },
    rules: [{ apiGroups: ['admissionregistration.k8s.io'], resources: ['*'], verbs: ['*'] }],
  })
  await tandem.ok('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'policies' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'policies' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'author' }],
  })
  const policy = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'p' },
    spec: {
      paramKind,
      matchConstraints: onMaps,
      validations: [{ expression: 'false', messageExpression: 'string(params.data.key)' }],
    },
  }
  const policies = `${registration}/validatingadmissionpolicies`
  assert.match(
    await tandem.refused(422, 'POST', policies, policy, { user: author }),
    /spec.paramKind: Forbidden: user author must have "get" permission on all objects of the referenced paramKind \(kind=Secret, apiVersion=v1\)/,
  )
  await tandem.ok('POST', policies, policy)
  const binding = {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: 'b' },
    spec: { policyName: 'p', validationActions: ['Deny'], paramRef: { name: 's', parameterNotFoundAction: 'Deny' } },
  }
  assert.match(
    await tandem.refused(422, 'POST', `${registration}/validatingadmissionpolicybindings`, binding, { user: author }),
    /spec.paramRef: Forbidden: user author does not have "get" permission on the object referenced by paramRef/,
  )
})
