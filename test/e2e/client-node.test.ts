// The official JavaScript client of Kubernetes, unchanged, against a real Tandem: what programs that are written with
// it do. It has no leader election of its own; the race for a Lease that such programs run is tested in its place.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, type Writable } from 'node:stream'
import { after, before, test } from 'node:test'
import {
  ApiException,
  ApiextensionsV1Api,
  AppsV1Api,
  Attach,
  AuthenticationV1Api,
  AuthorizationV1Api,
  BatchV1Api,
  CoordinationV1Api,
  CoreV1Api,
  Cp,
  CustomObjectsApi,
  Exec,
  Health,
  KubeConfig,
  KubernetesObjectApi,
  Log,
  loadAllYaml,
  Metrics,
  makeInformer,
  PatchStrategy,
  PortForward,
  setHeaderOptions,
  topNodes,
  topPods,
  type V1ConfigMap,
  V1MicroTime,
  type V1Pod,
  type V1Status,
  VersionApi,
  Watch,
} from '@kubernetes/client-node'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

const namespace = 'default'
let tandem: TestTandem
let config: KubeConfig
let core: CoreV1Api

before(async () => {
  tandem = await startTandem({ images: ['busybox'] })
  config = new KubeConfig()
  config.loadFromFile(tandem.kubeconfig)
  core = config.makeApiClient(CoreV1Api)
})
after(() => tandem?.close())

/** Collects what is written to it. */
function collector(): Writable & { text(): string } {
  const stream = new PassThrough()
  const chunks: Buffer[] = []
  stream.on('data', (chunk) => chunks.push(chunk))
  return Object.assign(stream, { text: () => Buffer.concat(chunks).toString() })
}

const code = (expected: number) => (error: unknown) => error instanceof ApiException && error.code === expected

const pod = (name: string, command: string, more: object = {}): V1Pod => ({
  metadata: { name, labels: { app: name } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: 'tandem.dev/busybox:1', command: ['sh', '-c', command], ...more }],
  },
})

const isReady = async (name: string) =>
  (await core.readNamespacedPod({ name, namespace })).status?.conditions?.some(
    ({ type, status }) => type === 'Ready' && status === 'True',
  ) ?? false

async function run(body: V1Pod): Promise<void> {
  await core.createNamespacedPod({ namespace, body })
  await until(`Pod ${body.metadata!.name} is ready`, () => isReady(body.metadata!.name!))
}

test('create, read, list with selectors and pages, replace, conflict, delete', async () => {
  for (const index of [1, 2, 3])
    await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: `map-${index}`, labels: { of: 'list' } }, data: { index: `${index}` } },
    })
  await assert.rejects(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'map-1' } } }), code(409))
  const first = await core.listNamespacedConfigMap({ namespace, labelSelector: 'of=list', limit: 2 })
  assert.deepEqual([first.items.length, first.metadata?.remainingItemCount ?? 1], [2, 1])
  const rest = await core.listNamespacedConfigMap({
    namespace,
    labelSelector: 'of=list',
    limit: 2,
    _continue: first.metadata!._continue!,
  })
  assert.deepEqual(
    rest.items.map((item) => item.metadata!.name),
    ['map-3'],
  )
  const chosen = await core.listNamespacedConfigMap({ namespace, fieldSelector: 'metadata.name=map-2' })
  assert.deepEqual(
    chosen.items.map((item) => item.data),
    [{ index: '2' }],
  )
  const read = await core.readNamespacedConfigMap({ name: 'map-1', namespace })
  assert.ok(read.metadata!.creationTimestamp instanceof Date)
  await core.replaceNamespacedConfigMap({ name: 'map-1', namespace, body: { ...read, data: { index: 'new' } } })
  await assert.rejects(core.replaceNamespacedConfigMap({ name: 'map-1', namespace, body: read }), code(409))
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'of=list' })
  await assert.rejects(core.readNamespacedConfigMap({ name: 'map-1', namespace }), code(404))
})

test('every kind of patch, server-side apply with its conflict, a subresource', async () => {
  const name = 'patched'
  const ask = (body: unknown, strategy: string, more: object = {}) =>
    core.patchNamespacedConfigMap(
      { name, namespace, body, fieldManager: 'test', ...more },
      setHeaderOptions('Content-Type', strategy),
    )
  const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { color: 'red' } }
  const created = await ask(applied, PatchStrategy.ServerSideApply)
  assert.deepEqual(
    created.metadata!.managedFields!.map((entry) => [entry.manager, entry.operation]),
    [['test', 'Apply']],
  )
  await ask([{ op: 'add', path: '/data/json', value: '1' }], PatchStrategy.JsonPatch)
  await ask({ data: { merge: '2', json: null } }, PatchStrategy.MergePatch)
  const after = await ask({ data: { strategic: '3' } }, PatchStrategy.StrategicMergePatch)
  assert.deepEqual(after.data, { color: 'red', merge: '2', strategic: '3' })
  const other = { ...applied, data: { color: 'blue' } }
  await assert.rejects(ask(other, PatchStrategy.ServerSideApply, { fieldManager: 'other' }), code(409))
  const forced = await ask(other, PatchStrategy.ServerSideApply, { fieldManager: 'other', force: true })
  assert.equal(forced.data!.color, 'blue')
  const dry = await ask({ data: { color: 'none' } }, PatchStrategy.MergePatch, { dryRun: 'All' })
  assert.equal(dry.data!.color, 'none')
  assert.equal((await core.readNamespacedConfigMap({ name, namespace })).data!.color, 'blue')
  await assert.rejects(ask([{ op: 'test', path: '/data/color', value: 'x' }], PatchStrategy.JsonPatch), code(422))
})

test('objects of any kind by their text: discovery, apply of a manifest, list, scale', async () => {
  const objects = KubernetesObjectApi.makeApiClient(config)
  const manifests = loadAllYaml(`
apiVersion: v1
kind: Namespace
metadata: {name: play}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: play}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: 'tandem.dev/busybox:1', command: [sleep, '3600']}]
`)
  for (const manifest of manifests)
    await objects.patch(manifest, undefined, undefined, 'test', true, PatchStrategy.ServerSideApply)
  const apps = config.makeApiClient(AppsV1Api)
  const where = { name: 'web', namespace: 'play' }
  await until('the Deployment is available', async () => {
    return (await apps.readNamespacedDeployment(where)).status?.availableReplicas === 1
  })
  const scale = await apps.readNamespacedDeploymentScale(where)
  await apps.replaceNamespacedDeploymentScale({ ...where, body: { ...scale, spec: { replicas: 2 } } })
  await until('both replicas are ready', async () => {
    return (await apps.readNamespacedDeployment(where)).status?.readyReplicas === 2
  })
  assert.equal(
    (await objects.list('v1', 'Pod', 'play', undefined, undefined, undefined, undefined, 'app=web')).items.length,
    2,
  )
  await objects.delete({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'play' } })
  await until('the namespace is gone', () =>
    core.readNamespace({ name: 'play' }).then(
      () => false,
      (error) => error.code === 404,
    ),
  )
})

test('watch from a version, to its end; a watch that begins with what there is', async () => {
  const watch = new Watch(config)
  const path = `/api/v1/namespaces/${namespace}/configmaps`
  const { metadata } = await core.listNamespacedConfigMap({ namespace })
  const seen: string[] = []
  const ended = new Promise((done) => {
    watch.watch(
      path,
      { resourceVersion: metadata!.resourceVersion, fieldSelector: 'metadata.name=watched', timeoutSeconds: 15 },
      (phase, object) => seen.push(`${phase} ${object.data?.step}`),
      done,
    )
  })
  const at = { name: 'watched', namespace }
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'watched' }, data: { step: '1' } } })
  await core.patchNamespacedConfigMap(
    { ...at, body: { data: { step: '2' } } },
    setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
  )
  await core.deleteNamespacedConfigMap(at)
  assert.equal((await ended) ?? null, null)
  assert.deepEqual(seen, ['ADDED 1', 'MODIFIED 2', 'DELETED 2'])

  const initial: string[] = []
  const marked = new Promise<void>((done) => {
    watch.watch(
      '/api/v1/namespaces',
      { sendInitialEvents: true, allowWatchBookmarks: true, resourceVersionMatch: 'NotOlderThan', timeoutSeconds: 60 },
      (phase, object) => {
        if (phase === 'ADDED') initial.push(object.metadata.name)
        if (object.metadata.annotations?.['k8s.io/initial-events-end'] === 'true') done()
      },
      () => done(),
    )
  })
  await marked
  for (const name of ['default', 'kube-system']) assert.ok(initial.includes(name), initial.join())
})

test('an informer holds what there is and tells of changes', async () => {
  const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'of=informer' })
  const informer = makeInformer<V1ConfigMap>(config, `/api/v1/namespaces/${namespace}/configmaps`, list, 'of=informer')
  const events: string[] = []
  for (const verb of ['add', 'update', 'delete'] as const)
    informer.on(verb, (object) => events.push(`${verb} ${object.metadata!.name}`))
  informer.on('error', (error) => events.push(`error ${error}`))
  const make = (name: string) =>
    core.createNamespacedConfigMap({ namespace, body: { metadata: { name, labels: { of: 'informer' } } } })
  await make('before')
  await informer.start()
  await make('later')
  await until('both are known', () => informer.list(namespace).length === 2)
  await core.patchNamespacedConfigMap(
    { name: 'later', namespace, body: [{ op: 'add', path: '/data', value: { a: 'b' } }] },
    setHeaderOptions('Content-Type', PatchStrategy.JsonPatch),
  )
  await until('the change is known', () => informer.get('later', namespace)?.data?.a === 'b')
  await core.deleteNamespacedConfigMap({ name: 'before', namespace })
  await until('the end is known', () => informer.get('before', namespace) === undefined)
  await informer.stop()
  assert.deepEqual(events, ['add before', 'add later', 'update later', 'delete before'])
})

test('exec with input, both outputs, exit code and a terminal; copies to and fro', async () => {
  await run(pod('worker', 'sleep 3600'))
  const exec = new Exec(config)
  const go = async (command: string[], stdin: PassThrough | null = null, tty = false) => {
    const [stdout, stderr] = [collector(), collector()]
    const status = await new Promise<V1Status>((done, fail) => {
      exec.exec(namespace, 'worker', 'main', command, stdout, stderr, stdin, tty, done).catch(fail)
    })
    return { status, stdout: stdout.text(), stderr: stderr.text() }
  }
  const both = await go(['sh', '-c', 'echo out; echo err >&2; exit 3'])
  assert.deepEqual([both.stdout, both.stderr, both.status.status], ['out\n', 'err\n', 'Failure'])
  assert.deepEqual(both.status.details?.causes, [{ reason: 'ExitCode', message: '3' }])
  const input = new PassThrough()
  input.end('x'.repeat(1 << 20))
  const counted = await go(['wc', '-c'], input)
  assert.deepEqual([counted.stdout.trim(), counted.status.status], [`${1 << 20}`, 'Success'])
  assert.match((await go(['sh', '-c', 'test -t 1 && echo terminal'], null, true)).stdout, /^terminal\r\n/)
  // The client rejects with the event of its WebSocket.
  await assert.rejects(exec.exec(namespace, 'none', 'main', 'true', collector(), null, null, false), (error) => {
    assert.match((error as ErrorEvent).message, /404/)
    return true
  })

  const [there, back] = ['there', 'back'].map((name) => join(tandem.stateDir, `copied-${name}`))
  for (const folder of [there!, back!]) mkdirSync(folder)
  writeFileSync(join(there!, 'note'), 'kept as it is\n')
  const copies = new Cp(config)
  // Gives no word of when it is done.
  await copies.cpToPod(namespace, 'worker', 'main', there!, '/tmp')
  await until('the copy is there', async () => (await go(['cat', '/tmp/note'])).stdout === 'kept as it is\n')
  await copies.cpFromPod(namespace, 'worker', 'main', 'tmp/note', back!, '/')
  const note = join(back!, 'tmp/note')
  await until('it is back', () => existsSync(note) && readFileSync(note, 'utf8') === 'kept as it is\n')
})

test('attach writes to the process and shows what it answers; logs, once and as they come', async () => {
  await run(pod('echo', 'echo started; while read line; do echo "heard $line"; done', { stdin: true }))
  const [stdout, input] = [collector(), new PassThrough()]
  const socket = await new Attach(config).attach(namespace, 'echo', 'main', stdout, null, input, false)
  const followed = collector()
  await new Log(config).log(namespace, 'echo', 'main', followed, { follow: true })
  input.write('hello\n')
  await until('the answer is attached', () => stdout.text() === 'heard hello\n')
  await until('the answer is in the log', () => followed.text() === 'started\nheard hello\n')
  socket.close()
  const last = await core.readNamespacedPodLog({ name: 'echo', namespace, tailLines: 1, timestamps: true })
  assert.match(last, /^\d{4}-\d\d-\d\dT[\d:.]+Z heard hello\n$/)
  await core.deleteNamespacedPod({ name: 'echo', namespace })
  await until('the log ends with its Pod', () => followed.writableEnded)
})

test('port-forward to a Pod and to the Service before it', async () => {
  const readinessProbe = { tcpSocket: { port: 8080 }, periodSeconds: 1 }
  const serve = 'mkdir /www; echo served > /www/index.html; exec httpd -f -p 8080 -h /www'
  await run(pod('server', serve, { readinessProbe }))
  await core.createNamespacedService({
    namespace,
    body: { metadata: { name: 'server' }, spec: { selector: { app: 'server' }, ports: [{ port: 8080 }] } },
  })
  const forward = new PortForward(config)
  const get = async (open: (output: Writable, input: PassThrough) => Promise<unknown>) => {
    const [output, input] = [collector(), new PassThrough()]
    const opened = open(output, input)
    await opened
    input.write('GET / HTTP/1.0\r\n\r\n')
    await until('the page has come', () => output.text().endsWith('served\n'))
    input.end()
    assert.match(output.text(), /^HTTP\/1\.[01] 200 OK\r\n/)
  }
  const errors = collector()
  await get((output, input) => forward.portForward(namespace, 'server', [8080], output, errors, input))
  await get((output, input) => forward.portForwardService(namespace, 'server', [8080], output, errors, input))
  assert.equal(errors.text(), '')
})

test('a CustomResourceDefinition and its objects: schema, status, scale, watch, patches', async () => {
  const [group, version, plural] = ['test.example.com', 'v1', 'widgets']
  const openAPIV3Schema = {
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: { size: { type: 'integer', minimum: 1, _default: 2 }, color: { type: 'string' } },
        x_kubernetes_validations: [{ rule: 'self.size < 10', message: 'too large' }],
      },
      status: { type: 'object', properties: { replicas: { type: 'integer' }, phase: { type: 'string' } } },
    },
  }
  const definitions = config.makeApiClient(ApiextensionsV1Api)
  const name = `${plural}.${group}`
  await definitions.createCustomResourceDefinition({
    body: {
      metadata: { name },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural, singular: 'widget', kind: 'Widget', listKind: 'WidgetList', shortNames: ['wd'] },
        versions: [
          {
            name: version,
            served: true,
            storage: true,
            schema: { openAPIV3Schema },
            subresources: {
              status: {},
              scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.replicas' },
            },
          },
        ],
      },
    },
  })
  await until('the definition is established', async () => {
    const { status } = await definitions.readCustomResourceDefinition({ name })
    return status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True') ?? false
  })
  const custom = config.makeApiClient(CustomObjectsApi)
  const all = { group, version, namespace, plural }
  const one = { ...all, name: 'first' }
  const phases: string[] = []
  const controller = await new Watch(config).watch(
    `/apis/${group}/${version}/namespaces/${namespace}/${plural}`,
    {},
    (phase, object) => phases.push(`${phase} ${object.spec.size} ${object.status?.phase ?? '-'}`),
    () => {},
  )
  const body = {
    apiVersion: `${group}/${version}`,
    kind: 'Widget',
    metadata: { name: 'first' },
    spec: { color: 'red' },
  }
  const created = await custom.createNamespacedCustomObject({ ...all, body })
  assert.deepEqual(created.spec, { color: 'red', size: 2 })
  const large = { ...body, metadata: { name: 'large' }, spec: { size: 20 } }
  await assert.rejects(custom.createNamespacedCustomObject({ ...all, body: large }), (error: ApiException<string>) => {
    assert.match(`${error.body}`, /too large/)
    return error.code === 422
  })
  const merge = setHeaderOptions('Content-Type', PatchStrategy.MergePatch)
  await custom.patchNamespacedCustomObject({ ...one, body: { spec: { size: 3 } } }, merge)
  await custom.patchNamespacedCustomObjectStatus({ ...one, body: { status: { replicas: 3, phase: 'Ready' } } }, merge)
  const scale = await custom.getNamespacedCustomObjectScale(one)
  assert.deepEqual([scale.kind, scale.spec.replicas, scale.status.replicas], ['Scale', 3, 3])
  assert.equal((await custom.listNamespacedCustomObject(all)).items.length, 1)
  await custom.deleteNamespacedCustomObject(one)
  await until('the watch has all', () => phases.length === 4)
  controller.abort()
  assert.deepEqual(phases, ['ADDED 2 -', 'MODIFIED 3 -', 'MODIFIED 3 Ready', 'DELETED 3 Ready'])
  await definitions.deleteCustomResourceDefinition({ name })
})

test('metrics and top of nodes and Pods', async () => {
  const metrics = new Metrics(config)
  await until('the Pods have metrics', async () => {
    const { items } = await metrics.getPodMetrics(namespace)
    return items.some((item) => item.metadata.name === 'worker' && item.containers.length === 1)
  })
  assert.equal((await metrics.getNodeMetrics()).items.length, 1)
  const [node] = await topNodes(core)
  assert.ok(Number(node!.Memory.Capacity) > 0 && Number(node!.CPU.Capacity) > 0)
  const worker = (await topPods(core, metrics, namespace)).find(({ Pod }) => Pod.metadata!.name === 'worker')
  assert.ok(Number(worker!.Memory.CurrentUsage) > 0)
})

test('a Lease is held by one: the second is refused by its version', async () => {
  const leases = config.makeApiClient(CoordinationV1Api)
  const now = () => new V1MicroTime()
  const spec = (holderIdentity: string) => ({ holderIdentity, leaseDurationSeconds: 15, renewTime: now() })
  await leases.createNamespacedLease({ namespace, body: { metadata: { name: 'leader' }, spec: spec('one') } })
  const at = { name: 'leader', namespace }
  const [mine, theirs] = [await leases.readNamespacedLease(at), await leases.readNamespacedLease(at)]
  const taken = await leases.replaceNamespacedLease({ ...at, body: { ...mine, spec: spec('two') } })
  assert.match(JSON.stringify(taken.spec!.renewTime), /\.\d{6}Z/)
  await assert.rejects(leases.replaceNamespacedLease({ ...at, body: { ...theirs, spec: spec('three') } }), code(409))
  assert.equal((await leases.readNamespacedLease(at)).spec!.holderIdentity, 'two')
})

test('a Job, its events; tokens and rights; version and health', async () => {
  const batch = config.makeApiClient(BatchV1Api)
  const { spec } = pod('once', 'echo done')
  await batch.createNamespacedJob({
    namespace,
    body: { metadata: { name: 'once' }, spec: { template: { spec: { ...spec!, restartPolicy: 'Never' } } } },
  })
  await until('the Job is complete', async () => {
    const { status } = await batch.readNamespacedJob({ name: 'once', namespace })
    return status?.succeeded === 1 && status.completionTime instanceof Date
  })
  await until('its end is an event', async () => {
    const { items } = await core.listNamespacedEvent({ namespace, fieldSelector: 'involvedObject.name=once' })
    return items.some(({ reason }) => reason === 'Completed')
  })

  await core.createNamespacedServiceAccount({ namespace, body: { metadata: { name: 'robot' } } })
  const { status } = await core.createNamespacedServiceAccountToken({
    name: 'robot',
    namespace,
    body: { spec: { audiences: [], expirationSeconds: 600 } },
  })
  const robot = new KubeConfig()
  robot.loadFromClusterAndUser(config.getCurrentCluster()!, { name: 'robot', token: status!.token })
  await assert.rejects(robot.makeApiClient(CoreV1Api).listNamespacedPod({ namespace }), code(403))
  const who = await robot.makeApiClient(AuthenticationV1Api).createSelfSubjectReview({ body: {} })
  assert.equal(who.status?.userInfo?.username, 'system:serviceaccount:default:robot')
  const may = await config.makeApiClient(AuthorizationV1Api).createSelfSubjectAccessReview({
    body: { spec: { resourceAttributes: { namespace, verb: 'create', resource: 'pods' } } },
  })
  assert.equal(may.status?.allowed, true)
  assert.match((await config.makeApiClient(VersionApi).getCode()).gitVersion, /^v1\.36\./)
  assert.equal(await new Health(config).readyz({}), true)
})
