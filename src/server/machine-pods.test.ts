// Machines among the Pods: what somebody outside sees, and what the parts of this process do not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shutdownAnnotation } from '../kinds/kubevirt/instance-marks.ts'
import { launcherName } from '../kinds/kubevirt/launcher-pod.ts'
import { startServer, type TestServer, take, told } from './server.fixture.ts'

const instances = '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances'
const pods = '/api/v1/namespaces/default/pods'
const outside = { source: '192.0.2.1' }

async function withMachine(name = 'db', spec: object = {}) {
  const tandem = await startServer()
  await tandem.ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  const made = await addMachine(tandem, name, spec)
  return { ...tandem, uid: made.metadata.uid as string, pod: launcherName(name, made.metadata.uid) }
}

const addMachine = (tandem: TestServer, name: string, spec: object = {}) =>
  tandem.ok('POST', instances, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name, labels: { app: 'db' } },
    spec: {
      terminationGracePeriodSeconds: 60,
      ...spec,
      domain: {
        memory: { guest: '64Mi' },
        devices: { interfaces: [{ name: 'default', masquerade: {}, ports: [{ name: 'sql', port: 5432 }] }] },
      },
      networks: [{ name: 'default', pod: {} }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
    },
  })

async function setStatus({ ok }: TestServer, status: object, name = 'db') {
  const instance = await ok('GET', `${instances}/${name}`)
  return ok('PUT', `${instances}/${name}/status`, { ...instance, status })
}

const running = {
  phase: 'Running',
  nodeName: 'here',
  conditions: [{ type: 'Ready', status: 'True' }],
  interfaces: [{ ipAddress: '10.42.0.9', ipAddresses: ['10.42.0.9'] }],
}

const realPod = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i' }] },
})

const namesIn = (list: any): string[] => list.items.map((item: any) => item.metadata.name)

test('a machine is a Pod with its labels, address and requests, to those outside', async () => {
  const tandem = await withMachine()
  await setStatus(tandem, running)
  const pod = await tandem.ok('GET', `${pods}/${tandem.pod}`, undefined, outside)
  assert.match(pod.metadata.name, /^virt-launcher-db-[a-z0-9]{5}$/)
  assert.notEqual(pod.metadata.uid, tandem.uid)
  assert.deepEqual(pod.metadata.labels, {
    'isolation.tandem.dev/level': 'vm',
    app: 'db',
    'kubevirt.io': 'virt-launcher',
    'kubevirt.io/created-by': tandem.uid,
    'kubevirt.io/nodeName': 'here',
    'vm.kubevirt.io/name': 'db',
    'vmi.kubevirt.io/id': 'db',
  })
  assert.deepEqual(
    [pod.metadata.ownerReferences[0].kind, pod.metadata.ownerReferences[0].uid],
    ['VirtualMachineInstance', tandem.uid],
  )
  const [compute] = pod.spec.containers
  assert.deepEqual([compute.name, compute.resources.requests.memory], ['compute', '64Mi'])
  assert.deepEqual(compute.ports, [{ name: 'sql', containerPort: 5432, protocol: 'TCP' }])
  assert.equal(pod.spec.volumes[0].persistentVolumeClaim.claimName, 'data')
  assert.deepEqual([pod.status.phase, pod.status.podIP, pod.spec.nodeName], ['Running', '10.42.0.9', 'here'])
  assert.equal(pod.status.conditions.find((one: any) => one.type === 'Ready').status, 'True')
  assert.equal((await tandem.ok('GET', `${pods}/db`, undefined, outside)).metadata.name, tandem.pod)
  await tandem.refused(404, 'GET', `${pods}/virt-launcher-db-aaaaa`, undefined, outside)
})

test('the parts of this process see no such Pod', async () => {
  const tandem = await withMachine()
  assert.deepEqual(namesIn(await tandem.ok('GET', pods)), [])
  await tandem.refused(404, 'GET', `${pods}/${tandem.pod}`)
  await tandem.refused(404, 'GET', `${pods}/db`)
  await tandem.refused(404, 'DELETE', `${pods}/${tandem.pod}`)
})

test('lists have both, in the order of their names, whole or in pages, and by selectors', async () => {
  const tandem = await withMachine()
  const { ok } = tandem
  await addMachine(tandem, 'web')
  for (const name of ['a', 'w', 'z']) await ok('POST', pods, realPod(name))
  const all = namesIn(await ok('GET', pods, undefined, outside))
  assert.deepEqual(
    all.map((name) => name.replace(/-.{5}$/, '')),
    ['a', 'virt-launcher-db', 'virt-launcher-web', 'w', 'z'],
  )
  const paged: string[] = []
  for (let next = ''; ; ) {
    const page = await ok('GET', `${pods}?limit=2${next}`, undefined, outside)
    paged.push(...namesIn(page))
    if (!page.metadata.continue) break
    next = `&continue=${page.metadata.continue}`
  }
  assert.deepEqual(paged, all)
  assert.deepEqual(namesIn(await ok('GET', `${pods}?labelSelector=vm.kubevirt.io/name=db`, undefined, outside)), [
    tandem.pod,
  ])
  assert.deepEqual(namesIn(await ok('GET', `${pods}?fieldSelector=metadata.name=${tandem.pod}`, undefined, outside)), [
    tandem.pod,
  ])
})

test('a watch tells of both in the order in which they happen', async () => {
  const tandem = await withMachine()
  const { ok, call, store, pod } = tandem
  const from = store.revision()
  await ok('POST', pods, realPod('a'))
  await setStatus(tandem, running)
  await ok('POST', pods, realPod('b'))
  const watch = await call('GET', `${pods}?watch=true&resourceVersion=${from}`, undefined, outside)
  const events = await take(watch, 3)
  assert.deepEqual(told(events), ['ADDED a', `MODIFIED ${pod}`, 'ADDED b'])
  assert.equal(events[1]!.object.status.phase, 'Running')
  const later = await call('GET', `${pods}?watch=true&resourceVersion=${store.revision()}`, undefined, outside)
  await ok('DELETE', `${instances}/db`)
  assert.deepEqual(told(await take(later, 1)), [`DELETED ${pod}`])
})

test('deleting it shuts the guest down and leaves the instance to tell how it ended', async () => {
  const tandem = await withMachine()
  const { ok, refused, pod } = tandem
  await setStatus(tandem, running)
  const uid = { preconditions: { uid: 'another' } }
  assert.match(await refused(409, 'DELETE', `${pods}/${pod}`, uid, outside), /Precondition failed: UID in precondition/)
  const leaving = await ok('DELETE', `${pods}/${pod}`, undefined, outside)
  assert.ok(leaving.metadata.deletionTimestamp)
  const instance = await ok('GET', `${instances}/db`)
  assert.equal(instance.metadata.deletionTimestamp, undefined)
  const by = Date.parse(instance.metadata.annotations[shutdownAnnotation])
  assert.ok(by > Date.now() + 50_000 && by <= Date.now() + 60_000)
  await ok('DELETE', `${pods}/${pod}?gracePeriodSeconds=0`, undefined, outside)
  const sooner = (await ok('GET', `${instances}/db`)).metadata.annotations[shutdownAnnotation]
  assert.ok(Date.parse(sooner) <= Date.now())
  await setStatus(tandem, { ...running, phase: 'Succeeded' })
  await refused(404, 'GET', `${pods}/${pod}`, undefined, outside)
})

test('an eviction is a delete, unless the machine may only leave its node alive', async () => {
  const eviction = (name: string) => ({ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name } })
  const plain = await withMachine()
  await plain.ok('POST', `${pods}/${plain.pod}/eviction`, eviction(plain.pod), outside)
  assert.ok((await plain.ok('GET', `${instances}/db`)).metadata.annotations[shutdownAnnotation])
  const kept = await withMachine('db', { evictionStrategy: 'LiveMigrate' })
  assert.match(
    await kept.refused(429, 'POST', `${pods}/${kept.pod}/eviction`, eviction(kept.pod), outside),
    /VMI db is configured with an eviction strategy but is not live-migratable/,
  )
})

test('nothing of it is changed through it; one that waits for a migration has none', async () => {
  const tandem = await withMachine()
  const patch = { headers: { 'content-type': 'application/merge-patch+json' }, ...outside }
  assert.match(
    await tandem.refused(403, 'PATCH', `${pods}/${tandem.pod}`, { metadata: { labels: { a: 'b' } } }, patch),
    /it shows the VirtualMachineInstance "db"/,
  )
  const annotations = { 'kubevirt.io/create-migration-target': 'true' }
  const instance = await tandem.ok('GET', `${instances}/db`)
  await tandem.ok('PUT', `${instances}/db`, { ...instance, metadata: { ...instance.metadata, annotations } })
  assert.deepEqual(namesIn(await tandem.ok('GET', pods, undefined, outside)), [])
})

test('a container beside it is a Pod of its own, which the instance lists and the view shows', async () => {
  const tandem = await withMachine()
  const patch = { headers: { 'content-type': 'application/strategic-merge-patch+json' }, ...outside }
  const at = `${pods}/${tandem.pod}/ephemeralcontainers`
  const asking = (more: object = {}) => ({
    spec: { ephemeralContainers: [{ name: 'look', image: 'i', stdin: true, tty: true, ...more }] },
  })
  assert.match(await tandem.refused(409, 'PATCH', at, asking(), patch), /while it does not run/)
  await setStatus(tandem, running)
  assert.match(
    await tandem.refused(422, 'PATCH', at, asking({ volumeMounts: [{ name: 'no', mountPath: '/no' }] }), patch),
    /volumeMounts/,
  )
  const { spec, status } = await tandem.ok('PATCH', at, asking({ targetContainerName: 'compute' }), patch)
  const [container] = spec.ephemeralContainers
  assert.deepEqual(
    [container.name, container.tty, container.targetContainerName, container.terminationMessagePolicy],
    ['look', true, 'compute', 'File'],
  )
  assert.deepEqual(status.ephemeralContainerStatuses[0].state, { waiting: { reason: 'ContainerCreating' } })
  const own = await tandem.ok('GET', `${pods}/${tandem.pod}-look`)
  assert.equal(own.metadata.annotations['tandem.dev/beside-machine'], 'db')
  assert.equal(own.metadata.ownerReferences[0].uid, tandem.uid)
  const { nodeName, restartPolicy, containers } = own.spec
  assert.deepEqual([nodeName, restartPolicy, containers[0].name, containers.length], ['here', 'Never', 'look', 1])
  assert.equal(containers[0].targetContainerName, undefined)
  assert.match(await tandem.refused(422, 'PATCH', at, asking({ image: 'other' }), patch), /"look" may not be changed/)
  const view = await tandem.ok('GET', at, undefined, outside)
  assert.equal((await tandem.ok('PUT', at, view, outside)).spec.ephemeralContainers.length, 1)
  const { metadata } = await tandem.ok('GET', `${instances}/db`)
  assert.equal(JSON.parse(metadata.annotations['tandem.dev/debug-containers'])[0].pod, own.metadata.name)
})
