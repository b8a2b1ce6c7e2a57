// How strongly Pods are isolated, as a client meets it: chosen, demanded, stamped, and not to be forged.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { levels } from '../../../kinds/isolation/levels.ts'
import { patchType, startServer, type TestServer } from '../../server.fixture.ts'

const prefix = 'isolation.tandem.dev/'
const levelLabel = `${prefix}level`
const inside = '/api/v1/namespaces/shop'
const classes = '/apis/node.k8s.io/v1/runtimeclasses'
const policies = '/apis/policy.tandem.dev/v1alpha1/clusterisolationpolicies'
const apply = { headers: { 'content-type': 'application/apply-patch+yaml' } }

const labelled = (labels: Record<string, string>) =>
  Object.fromEntries(Object.entries(labels).map(([mode, level]) => [prefix + mode, level]))

async function start(labels: Record<string, string> = {}, handlers = ['runc', 'runsc', 'kata', 'microvm']) {
  const tandem = await startServer()
  for (const handler of handlers)
    await tandem.ok('POST', classes, {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: handler === 'runsc' ? 'gvisor' : handler },
      handler,
    })
  await tandem.ok('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', labels: labelled(labels) },
  })
  await tandem.ok('POST', `${inside}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  return tandem
}

const pod = (spec: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p', ...metadata },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})

const deployment = (spec: object = {}, name = 'd') => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }], ...spec } },
  },
})

const policy = (rules: object[], more: object = {}) => ({
  apiVersion: 'policy.tandem.dev/v1alpha1',
  kind: 'ClusterIsolationPolicy',
  metadata: { name: 'rules' },
  spec: { rules, ...more },
})

const shared: [object, string][] = [
  [{ hostNetwork: true }, 'hostNetwork=true'],
  [{ hostPID: true }, 'hostPID=true'],
  [
    { containers: [{ name: 'c', image: 'i', securityContext: { privileged: true } }] },
    'privileged=true of container "c"',
  ],
]

test('every class against every level that a namespace can demand', async () => {
  const given: [string | undefined, (typeof levels)[number]][] = [
    [undefined, 'container'],
    ['runc', 'container'],
    ['gvisor', 'sandboxed'],
    ['kata', 'microvm'],
    ['microvm', 'microvm'],
    ['whole', 'vm'],
  ]
  for (const enforce of levels) {
    const { ok, refused } = await start({ enforce })
    await ok('POST', classes, {
      apiVersion: 'node.k8s.io/v1',
      kind: 'RuntimeClass',
      metadata: { name: 'whole', labels: { [levelLabel]: 'vm' } },
      handler: 'mine',
    })
    for (const [runtimeClassName, level] of given) {
      const one = pod({ runtimeClassName }, { name: `as-${runtimeClassName ?? 'none'}` })
      if (levels.indexOf(level) >= levels.indexOf(enforce)) {
        const made = await ok('POST', `${inside}/pods`, one)
        assert.equal(made.metadata.labels[levelLabel], level)
      } else
        assert.match(
          await refused(403, 'POST', `${inside}/pods`, one),
          new RegExp(`violates isolation "${enforce}".*it would run as "${level}"`),
        )
    }
    for (const [spec, text] of shared) {
      const one = pod({ ...spec, runtimeClassName: 'kata' }, { name: 'shares' })
      if (enforce !== 'container') {
        const message = await refused(403, 'POST', `${inside}/pods`, one)
        assert.ok(message.includes(`(${text} shares the machine, whatever its runtime class); leave that out`), message)
      } else {
        const made = await ok('POST', `${inside}/pods`, one)
        assert.equal(made.metadata.labels[levelLabel], 'container')
        await ok('DELETE', `${inside}/pods/shares?gracePeriodSeconds=0`)
      }
    }
  }
})

test('a refusal names who demands what, what the Pod is, and what to set', async () => {
  const { refused, ok } = await start({ enforce: 'microvm' })
  assert.equal(
    await refused(403, 'POST', `${inside}/pods`, pod()),
    'pods "p" is forbidden: violates isolation "microvm" (label isolation.tandem.dev/enforce of namespace "shop"): it would run as "container" (no spec.runtimeClassName); set spec.runtimeClassName to one of "microvm", "kata"',
  )
  assert.equal(
    await refused(403, 'POST', `${inside}/pods`, pod({ runtimeClassName: 'gvisor', hostNetwork: true })),
    'pods "p" is forbidden: violates isolation "microvm" (label isolation.tandem.dev/enforce of namespace "shop"): it would run as "container" (hostNetwork=true shares the machine, whatever its runtime class); leave that out and set spec.runtimeClassName to one of "microvm", "kata"',
  )
  await ok(
    'PATCH',
    '/api/v1/namespaces/shop',
    { metadata: { labels: labelled({ enforce: 'vm' }) } },
    patchType('merge'),
  )
  assert.match(await refused(403, 'POST', `${inside}/pods`, pod()), /create a VirtualMachine \(kubevirt.io\/v1\)$/)
})

test('the default of a namespace: the weakest class that is enough, nothing where none helps', async () => {
  for (const [labels, expected] of [
    [{}, undefined],
    [{ default: 'container' }, undefined],
    [{ default: 'sandboxed' }, 'gvisor'],
    [{ default: 'microvm' }, 'microvm'],
    // What is demanded counts too.
    [{ default: 'sandboxed', enforce: 'microvm' }, 'microvm'],
  ] as const) {
    const { ok } = await start(labels)
    const made = await ok('POST', `${inside}/pods`, pod())
    assert.equal(made.spec.runtimeClassName, expected)
    const own = await ok('POST', `${inside}/pods`, pod({ runtimeClassName: 'kata' }, { name: 'own' }))
    assert.equal(own.spec.runtimeClassName, 'kata')
  }
  const { ok, refused } = await start({ default: 'microvm' }, ['runc', 'runsc'])
  assert.equal(
    await refused(403, 'POST', `${inside}/pods`, pod()),
    'pods "p" is forbidden: no RuntimeClass gives isolation "microvm", which is the default by label isolation.tandem.dev/default of namespace "shop": see kubectl get runtimeclasses',
  )
  const unready = { name: 'microvm', annotations: { 'tandem.dev/ready': 'False', 'tandem.dev/reason': 'no QEMU' } }
  const strong = { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', handler: 'microvm' }
  await ok('POST', classes, { ...strong, metadata: unready })
  await refused(403, 'POST', `${inside}/pods`, pod())
  await ok('POST', classes, { ...strong, metadata: { name: 'other' } })
  const ready = await ok('POST', `${inside}/pods`, pod({}, { name: 'ready' }))
  assert.equal(ready.spec.runtimeClassName, 'other')
  const host = await ok('POST', `${inside}/pods`, pod({ hostNetwork: true }))
  assert.equal(host.spec.runtimeClassName, undefined)
})

test('the overhead and the node selector of a class that was chosen are the Pod’s', async () => {
  const { ok } = await start({ default: 'microvm' }, [])
  await ok('POST', classes, {
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name: 'small' },
    handler: 'microvm',
    overhead: { podFixed: { memory: '40Mi' } },
    scheduling: { nodeSelector: { kvm: 'yes' } },
  })
  const { spec } = await ok('POST', `${inside}/pods`, pod())
  assert.deepEqual(
    [spec.runtimeClassName, spec.overhead, spec.nodeSelector],
    ['small', { memory: '40Mi' }, { kvm: 'yes' }],
  )
})

test('templates of every controller are warned of, those that the default makes right are not', async () => {
  const template = deployment().spec.template
  const job = { ...template, spec: { ...template.spec, restartPolicy: 'Never' } }
  const selector = { matchLabels: { a: 'b' } }
  const makers: [string, string, string, object][] = [
    ['/api/v1', 'replicationcontrollers', 'ReplicationController', { selector: { a: 'b' }, template }],
    ['/apis/apps/v1', 'deployments', 'Deployment', { selector, template }],
    ['/apis/apps/v1', 'replicasets', 'ReplicaSet', { selector, template }],
    ['/apis/apps/v1', 'daemonsets', 'DaemonSet', { selector, template }],
    ['/apis/apps/v1', 'statefulsets', 'StatefulSet', { selector, serviceName: 's', template }],
    ['/apis/batch/v1', 'jobs', 'Job', { template: job }],
    ['/apis/batch/v1', 'cronjobs', 'CronJob', { schedule: '* * * * *', jobTemplate: { spec: { template: job } } }],
  ]
  const about = async ({ call }: TestServer, [base, plural, kind, spec]: (typeof makers)[number]) => {
    const body = { apiVersion: base.replace(/^\/apis?\//, ''), kind, metadata: { name: 'x' }, spec }
    const made = await call('POST', `${base}/namespaces/shop/${plural}`, body)
    assert.equal(made.status, 201, JSON.stringify(made.object))
    return (made.warnings ?? []).filter((text) => text.includes('isolation'))
  }
  const [strict, warned, fixed] = [
    await start({ enforce: 'sandboxed' }),
    await start({ warn: 'sandboxed' }),
    await start({ enforce: 'sandboxed', default: 'sandboxed' }),
  ]
  const text = (mode: string) =>
    `would violate isolation "sandboxed" (label isolation.tandem.dev/${mode} of namespace "shop"): it would run as "container" (no spec.runtimeClassName); set spec.runtimeClassName to one of "gvisor", "microvm", "kata"`
  for (const maker of makers) {
    assert.deepEqual(await about(strict, maker), [text('enforce')])
    assert.deepEqual(await about(warned, maker), [text('warn')])
    assert.deepEqual(await about(fixed, maker), [])
  }
  // Only what changes the template is told of again.
  const scaled = await strict.call(
    'PATCH',
    '/apis/apps/v1/namespaces/shop/deployments/x',
    { spec: { replicas: 3 } },
    patchType('merge'),
  )
  assert.deepEqual([scaled.status, scaled.warnings ?? []], [200, []])
  const plain = await warned.call('POST', `${inside}/pods`, pod())
  assert.deepEqual([plain.status, plain.warnings], [201, [text('warn')]])
})

test('policies choose and demand by image, account and user; of several the strictest demand and the first choice', async () => {
  const { ok, refused } = await start()
  await ok('POST', policies, {
    ...policy([
      {
        name: 'foreign',
        match: { exceptImages: ['ours.example.com/*'] },
        minimum: 'sandboxed',
        runtimeClassName: 'gvisor',
      },
      { name: 'builds', match: { serviceAccounts: ['shop/builder'] }, minimum: 'microvm' },
    ]),
  })
  const image = (name: string) => ({ containers: [{ name: 'c', image: name }] })
  const made = async (name: string, spec: object) => await ok('POST', `${inside}/pods`, pod(spec, { name }))
  assert.equal((await made('ours', image('ours.example.com/a'))).metadata.labels[levelLabel], 'container')
  const foreign = await made('foreign', image('nginx'))
  assert.deepEqual([foreign.spec.runtimeClassName, foreign.metadata.labels[levelLabel]], ['gvisor', 'sandboxed'])
  assert.match(
    await refused(403, 'POST', `${inside}/pods`, pod({ ...image('nginx'), runtimeClassName: 'runc' })),
    /violates isolation "sandboxed" \(rule "foreign" of ClusterIsolationPolicy "rules"\)/,
  )
  await ok('POST', `${inside}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'builder' },
  })
  assert.match(
    await refused(403, 'POST', `${inside}/pods`, pod({ ...image('nginx'), serviceAccountName: 'builder' })),
    /violates isolation "microvm" \(rule "builds".*would run as "sandboxed" \(spec.runtimeClassName is "gvisor"\)/,
  )
  // Another image, later, is looked at like the first.
  assert.match(
    await refused(403, 'PATCH', `${inside}/pods/ours`, { spec: image('nginx') }, patchType('strategic')),
    /violates isolation "sandboxed"/,
  )
  await ok('PATCH', `${inside}/pods/ours`, { spec: image('ours.example.com/b') }, patchType('strategic'))
  await ok('DELETE', `${policies}/rules`)
  assert.equal((await made('free', image('nginx'))).metadata.labels[levelLabel], 'container')
})

test('a rule about a person holds where that person speaks, also for templates', async () => {
  const { ok, call, refused } = await start()
  await ok('POST', policies, policy([{ name: 'guests', match: { users: ['guest-*'] }, minimum: 'sandboxed' }]))
  const guest = { user: { name: 'guest-1', groups: ['system:masters', 'system:authenticated'] } }
  const deployments = '/apis/apps/v1/namespaces/shop/deployments'
  assert.equal(
    await refused(403, 'POST', deployments, deployment(), guest),
    'deployments.apps "d" is forbidden: its Pods would violate isolation "sandboxed" (rule "guests" of ClusterIsolationPolicy "rules"): it would run as "container" (no spec.runtimeClassName); set spec.runtimeClassName to one of "gvisor", "microvm", "kata"',
  )
  await ok('POST', deployments, deployment())
  // What somebody else made is not theirs to answer for.
  await ok('PATCH', `${deployments}/d`, { spec: { replicas: 2 } }, { ...patchType('merge'), ...guest })
  await refused(
    403,
    'PATCH',
    `${deployments}/d`,
    { spec: { template: { spec: { hostNetwork: true } } } },
    { ...patchType('merge'), ...guest, headers: patchType('merge').headers },
  )
  await ok('PUT', `${policies}/rules`, {
    ...(await ok('GET', `${policies}/rules`)),
    spec: policy([{ name: 'guests', match: { users: ['guest-*'] }, minimum: 'sandboxed', runtimeClassName: 'gvisor' }])
      .spec,
  })
  const made = await call('POST', deployments, deployment({}, 'e'), guest)
  assert.equal((made.object as any).spec.template.spec.runtimeClassName, 'gvisor')
  assert.deepEqual(made.warnings ?? [], [])
  assert.equal((await ok('POST', deployments, deployment({}, 'f'))).spec.template.spec.runtimeClassName, undefined)
})

test('a policy that only warns or notes refuses nothing and chooses nothing', async () => {
  const { ok, call } = await start()
  const rule = { name: 'all', minimum: 'microvm', runtimeClassName: 'microvm' }
  await ok('POST', policies, policy([rule], { mode: 'Warn' }))
  const warned = await call('POST', `${inside}/pods`, pod())
  assert.equal(warned.status, 201)
  assert.match(warned.warnings?.join() ?? '', /^would violate isolation "microvm" \(rule "all"/)
  assert.equal((warned.object as any).spec.runtimeClassName, undefined)
  await ok('PATCH', `${policies}/rules`, { spec: { mode: 'Audit' } }, patchType('merge'))
  const noted = await call('POST', `${inside}/pods`, pod({}, { name: 'q' }))
  assert.deepEqual([noted.status, noted.warnings ?? []], [201, []])
})

test('nobody says themselves how strongly they are isolated', async () => {
  const { ok, call, refused } = await start()
  const says = (level: string | null) => ({ metadata: { labels: { [levelLabel]: level } } })
  assert.equal(
    await refused(403, 'POST', `${inside}/pods`, pod({}, { labels: { [levelLabel]: 'vm' } })),
    'pods "p" is forbidden: its label isolation.tandem.dev/level says "vm", but it runs as "container"; leave the label out, the server sets it',
  )
  await ok('POST', `${inside}/pods`, pod({ runtimeClassName: 'gvisor' }, { labels: { a: 'b' } }))
  const url = `${inside}/pods/p`
  for (const at of [url, `${url}/status`]) {
    for (const level of ['vm', 'container'])
      assert.match(
        await refused(403, 'PATCH', at, says(level), patchType('merge')),
        /says ".*", but it runs as "sandboxed"/,
      )
    // Who takes it away finds it there again.
    const left = await ok('PATCH', at, says(null), patchType('merge'))
    assert.equal(left.metadata.labels[levelLabel], 'sandboxed')
  }
  const whole = await ok('GET', url)
  const replaced = await ok('PUT', url, { ...whole, metadata: { ...whole.metadata, labels: { name: 'other' } } })
  assert.deepEqual(replaced.metadata.labels, { name: 'other', [levelLabel]: 'sandboxed' })
  // What was read can be made again as it is.
  const { name: _, uid: __, resourceVersion: ___, ...metadata } = whole.metadata
  const again = await call(
    'POST',
    `${inside}/pods`,
    pod({ runtimeClassName: 'gvisor' }, { ...metadata, name: 'again' }),
  )
  assert.equal(again.status, 201)
})

test('the label belongs to nobody who applies or creates', async () => {
  const { ok } = await start()
  const url = `${inside}/pods/p`
  const config = { ...pod({}, { labels: { a: 'b' } }) }
  const applied = await ok('PATCH', `${url}?fieldManager=me`, config, apply)
  assert.equal(applied.metadata.labels[levelLabel], 'container')
  await ok('POST', `${inside}/pods?fieldManager=you`, pod({}, { name: 'q', labels: { a: 'b' } }))
  for (const name of ['p', 'q']) {
    const { metadata } = await ok('GET', `${inside}/pods/${name}`)
    // Nor does what else admission adds: who applies it later would come to take it away.
    for (const added of [levelLabel, 'f:tolerations', 'f:serviceAccountName', 'kube-api-access'])
      assert.ok(!JSON.stringify(metadata.managedFields).includes(added), `${added} of ${name}`)
  }
  // Applied again it is no change, and with fewer labels ours stays.
  const same = await ok('PATCH', `${url}?fieldManager=me`, config, apply)
  assert.equal(same.metadata.resourceVersion, applied.metadata.resourceVersion)
  const fewer = await ok('PATCH', `${url}?fieldManager=me`, pod(), apply)
  assert.deepEqual(fewer.metadata.labels, { [levelLabel]: 'container' })
})

test('a privileged container that comes later takes the isolation away, or may not come', async () => {
  const debug = {
    spec: {
      ephemeralContainers: [
        { name: 'debug', image: 'i', securityContext: { privileged: true }, terminationMessagePolicy: 'File' },
      ],
    },
  }
  const harmless = { spec: { ephemeralContainers: [{ name: 'look', image: 'i', terminationMessagePolicy: 'File' }] } }
  const url = `${inside}/pods/p/ephemeralcontainers`
  const strategic = patchType('strategic')
  const open = await start()
  await open.ok('POST', `${inside}/pods`, pod({ runtimeClassName: 'kata' }))
  const looked = await open.ok('PATCH', url, harmless, strategic)
  assert.equal(looked.metadata.labels[levelLabel], 'microvm')
  const opened = await open.ok('PATCH', url, debug, strategic)
  assert.equal(opened.metadata.labels[levelLabel], 'container')

  const strict = await start({ enforce: 'sandboxed' })
  await strict.ok('POST', `${inside}/pods`, pod({ runtimeClassName: 'kata' }))
  await strict.ok('PATCH', url, harmless, strategic)
  assert.match(
    await strict.refused(403, 'PATCH', url, debug, strategic),
    /privileged=true of container "debug" shares the machine.*leave that out$/,
  )
})

test('labels of namespaces that mean nothing are refused or told of, and who asks for more is told of the Pods', async () => {
  const { ok, call, refused } = await start()
  const namespace = '/api/v1/namespaces/shop'
  const set = (labels: Record<string, string>) => ({ metadata: { labels: labelled(labels) } })
  assert.match(
    await refused(422, 'PATCH', namespace, set({ enforce: 'strong' }), patchType('merge')),
    /metadata.labels\[isolation.tandem.dev\/enforce\]: Unsupported value: "strong": supported values: "container", "sandboxed", "microvm", "vm"/,
  )
  const odd = await call('PATCH', namespace, set({ enfroce: 'vm' }), patchType('merge'))
  assert.deepEqual(odd.warnings, [
    'metadata.labels[isolation.tandem.dev/enfroce] has no effect: isolation.tandem.dev/ has enforce, warn, audit and default',
  ])
  await ok('POST', `${inside}/pods`, pod())
  await ok('POST', `${inside}/pods`, pod({}, { name: 'q' }))
  await ok('POST', `${inside}/pods`, pod({ runtimeClassName: 'gvisor' }, { name: 'g' }))
  const stricter = await call('PATCH', namespace, set({ enforce: 'microvm' }), patchType('merge'))
  assert.deepEqual(stricter.warnings, [
    'existing pods in namespace "shop" violate the new isolation level "microvm"',
    'g: sandboxed',
    'p (and 1 other pod): container',
  ])
  // They go on living.
  await ok('PATCH', `${inside}/pods/p`, { metadata: { labels: { a: 'b' } } }, patchType('merge'))
  const none = await call('PATCH', namespace, set({ default: 'vm' }), patchType('merge'))
  assert.match(none.warnings?.join() ?? '', /no RuntimeClass gives isolation "vm"/)
})

test('a class does not claim what its handler is known not to give', async () => {
  const { ok, refused } = await start()
  const one = (name: string, handler: string, level: string) => ({
    apiVersion: 'node.k8s.io/v1',
    kind: 'RuntimeClass',
    metadata: { name, labels: { [levelLabel]: level } },
    handler,
  })
  assert.match(await refused(422, 'POST', classes, one('a', 'runc', 'vm')), /Unsupported value: "vm"/)
  assert.match(await refused(422, 'POST', classes, one('a', 'mine', 'strong')), /Unsupported value: "strong"/)
  await ok('POST', classes, one('a', 'mine', 'microvm'))
  await ok('POST', classes, one('b', 'kata-fc', 'sandboxed'))
})

test('kubectl get pods -o wide', async () => {
  const { ok } = await start()
  await ok('POST', `${inside}/pods`, pod({ runtimeClassName: 'kata' }))
  const table = await ok('GET', `${inside}/pods`, undefined, {
    headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' },
  })
  const last = table.columnDefinitions.at(-1)
  assert.deepEqual([last.name, last.priority, table.rows[0].cells.at(-1)], ['Isolation', 1, 'microvm'])
})

test('what a policy must say', async () => {
  const { ok, call, refused } = await start()
  const bad = async (rules: object[], more?: object) => await refused(422, 'POST', policies, policy(rules, more))
  assert.match(await bad([]), /spec.rules/)
  assert.match(await bad([{ name: 'r' }]), /a rule needs a minimum, a runtimeClassName, or both/)
  assert.match(await bad([{ name: 'r', minimum: 'strong' }]), /Unsupported value: "strong"/)
  assert.match(await bad([{ name: 'r', minimum: 'vm' }], { mode: 'Maybe' }), /spec.mode/)
  assert.match(
    await bad([{ name: 'r', minimum: 'vm', match: { namespaceSelector: { matchLabels: { '-': 'x' } } } }]),
    /spec.rules\[0\].match.namespaceSelector/,
  )
  const idle = await call('POST', policies, policy([{ name: 'r', runtimeClassName: 'kata' }], { mode: 'Warn' }))
  assert.deepEqual(idle.warnings, ['spec.rules "r" has no effect: with mode Warn no runtime class is chosen'])
  const { status, spec } = await ok('GET', `${policies}/rules`)
  assert.deepEqual([status, spec.priority], [undefined, 0])
})
