// The whole platform in one process: what a person applies, and everything that comes and goes because of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { isTrue } from './conditions.ts'
import { startTestPlatform } from './platform.fixture.ts'
import { isReady } from './pod-state.ts'
import {
  configMaps,
  deployments,
  endpointSlices,
  endpoints,
  jobs,
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  replicaSets,
  serviceAccounts,
  services,
  virtualMachineInstances,
  virtualMachines,
} from './resources.ts'

const template = (image: string, labels: Record<string, string> = { app: 'web' }) => ({
  metadata: { labels },
  spec: { containers: [{ name: 'web', image, ports: [{ name: 'http', containerPort: 8080 }] }] },
})

const web = (spec: Record<string, unknown> = {}): ApiObject => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default' },
  spec: { replicas: 2, selector: { matchLabels: { app: 'web' } }, template: template('web:1'), ...spec },
})

const isRolledOut =
  (replicas: number) =>
  (deployment: StoredObject | undefined): boolean =>
    deployment?.status?.observedGeneration === deployment?.metadata.generation &&
    deployment?.status?.updatedReplicas === replicas &&
    deployment.status.replicas === replicas &&
    deployment.status.availableReplicas === replicas &&
    deployment.status.conditions.some((each: any) => each.reason === 'NewReplicaSetAvailable')

test('a Deployment from apply to the last thing collected', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  await client.create(deployments, web())
  await until(deployments, 'default/web', isRolledOut(2))
  const [first] = platform.informers.informer(replicaSets).list()
  assert.match(first!.metadata.name, /^web-[bcdfghjklmnpqrstvwxz2456789]{8,10}$/)
  const name = first!.metadata.name
  await platform.untilEvents('ScalingReplicaSet', [`Scaled up replica set ${name} from 0 to 2`])
  await platform.untilEvents('SuccessfulCreate', [/^Created pod: web-/])
  await platform.untilEvents('Scheduled', [/^Successfully assigned default\/web-\S+ to node-1$/])

  await client.patch(deployments, 'web', 'default', 'merge', { spec: { replicas: 4 } })
  await until(deployments, 'default/web', isRolledOut(4))
  await platform.untilEvents('ScalingReplicaSet', [`Scaled up replica set ${name} from 2 to 4`])

  await client.patch(deployments, 'web', 'default', 'merge', { spec: { template: template('web:2') } })
  const rolled = await until(deployments, 'default/web', isRolledOut(4))
  assert.equal(rolled.metadata.annotations?.['deployment.kubernetes.io/revision'], '2')
  const sets = platform.informers.informer(replicaSets).list()
  assert.equal(sets.length, 2)
  assert.equal(sets.find((set) => set.metadata.name === name)?.spec.replicas, 0)

  // Back to the first template, as `kubectl rollout undo` does it: the old ReplicaSet becomes revision 3.
  await client.patch(deployments, 'web', 'default', 'merge', { spec: { template: template('web:1') } })
  const undone = await until(deployments, 'default/web', isRolledOut(4))
  assert.equal(undone.metadata.annotations?.['deployment.kubernetes.io/revision'], '3')
  const back = platform.informers.informer(replicaSets).get(`default/${name}`)!
  assert.equal(back.spec.replicas, 4)
  assert.equal(back.metadata.annotations?.['deployment.kubernetes.io/revision-history'], '1')

  await client.delete(deployments, 'web', 'default', { propagationPolicy: 'Background' })
  await untilAll(replicaSets, (all) => all.length === 0)
  await untilAll(pods, (all) => all.length === 0)
  assert.deepEqual(platform.complaints, [])
})

test('foreground deletion removes what is owned before the owner; orphan deletion keeps it', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  await client.create(deployments, web())
  await until(deployments, 'default/web', isRolledOut(2))
  await client.delete(deployments, 'web', 'default', { propagationPolicy: 'Foreground' })
  await until(deployments, 'default/web', (object) => object === undefined)
  assert.equal(platform.informers.informer(replicaSets).list().length, 0)
  assert.equal(platform.informers.informer(pods).list().length, 0)

  await client.create(deployments, web())
  await until(deployments, 'default/web', isRolledOut(2))
  await client.delete(deployments, 'web', 'default', { propagationPolicy: 'Orphan' })
  await until(deployments, 'default/web', (object) => object === undefined)
  const [set] = await untilAll(replicaSets, (all) => all.every((each) => !each.metadata.ownerReferences?.length))
  assert.equal(set!.status?.readyReplicas, 2)
  // The same manifest again takes over what was left, and makes no second ReplicaSet.
  await client.create(deployments, web())
  await until(deployments, 'default/web', isRolledOut(2))
  assert.deepEqual(
    platform.informers
      .informer(replicaSets)
      .list()
      .map((each) => each.metadata.uid),
    [set!.metadata.uid],
  )
  await untilAll(pods, (all) => all.length === 2)
})

test('a deleted Pod is replaced; a Pod whose labels change is let go', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  await client.create(deployments, web())
  await until(deployments, 'default/web', isRolledOut(2))
  const [victim, other] = platform.informers.informer(pods).list()
  await client.delete(pods, victim!.metadata.name, 'default')
  await untilAll(
    pods,
    (all) => all.length === 2 && all.every((pod) => isReady(pod) && pod.metadata.uid !== victim!.metadata.uid),
  )
  await client.patch(pods, other!.metadata.name, 'default', 'merge', { metadata: { labels: { app: 'debug' } } })
  const all = await untilAll(pods, (found) => found.length === 3 && found.every(isReady))
  const free = all.find((pod) => pod.metadata.uid === other!.metadata.uid)
  assert.deepEqual(free?.metadata.ownerReferences ?? [], [])
})

test('a Recreate never runs old and new Pods at the same time', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  const images = new Set<string>()
  let mixed = false
  platform.informers.informer(pods).addHandler({
    changed: () => {
      images.clear()
      for (const pod of platform.informers.informer(pods).list()) images.add(pod.spec.containers[0].image)
      mixed ||= images.size > 1
    },
    removed: () => {},
  })
  await client.create(deployments, web({ strategy: { type: 'Recreate' } }))
  await until(deployments, 'default/web', isRolledOut(2))
  await client.patch(deployments, 'web', 'default', 'merge', { spec: { template: template('web:2') } })
  await until(deployments, 'default/web', isRolledOut(2))
  assert.deepEqual([...images], ['web:2'])
  assert.equal(mixed, false)
})

test('a namespace gets its account and CA, and goes with everything in it', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } })
  await until(serviceAccounts, 'shop/default', Boolean)
  const ca = await until(configMaps, 'shop/kube-root-ca.crt', Boolean)
  assert.equal(ca.data['ca.crt'], 'CA')
  const deployment = web()
  await client.create(deployments, { ...deployment, metadata: { name: 'web', namespace: 'shop' } })
  await until(deployments, 'shop/web', isRolledOut(2))
  await client.delete(namespaces, 'shop')
  await until(namespaces, 'shop', (object) => object === undefined)
  const left = [deployments, replicaSets, pods, configMaps, serviceAccounts].flatMap((ref) =>
    platform.informers.informer(ref).list('shop'),
  )
  assert.deepEqual(left, [])
})

test('one Service has Pods and a machine behind it', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  await client.create(services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
  })
  await client.create(deployments, web())
  await client.create(virtualMachines, machine())
  const isOurs = (slice: StoredObject) => slice.metadata.labels?.['kubernetes.io/service-name'] === 'web'
  const slices = await untilAll(endpointSlices, (all) => {
    const found = all.filter(isOurs).flatMap((slice) => slice.endpoints ?? [])
    return found.length === 3 && found.every((each: any) => each.conditions.ready)
  })
  const own = slices.filter(isOurs)
  assert.equal(own.length, 1)
  assert.deepEqual(own[0]!.endpoints.map((each: any) => each.targetRef.kind).sort(), [
    'Pod',
    'Pod',
    'VirtualMachineInstance',
  ])
  assert.deepEqual(own[0]!.ports, [{ name: '', port: 8080, protocol: 'TCP' }])
  await until(endpoints, 'default/web', (object) => object?.subsets?.[0]?.addresses?.length === 3)
  await client.delete(services, 'web', 'default')
  await untilAll(endpointSlices, (all) => !all.some(isOurs))
  await until(endpoints, 'default/web', (object) => object === undefined)
})

const machine = (spec: Record<string, unknown> = {}, volumes: unknown[] = []): ApiObject => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'db', namespace: 'default' },
  spec: {
    runStrategy: 'Always',
    ...spec,
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        domain: {
          memory: { guest: '128Mi' },
          devices: {
            disks: [{ name: 'root', disk: { bus: 'virtio' } }],
            interfaces: [{ name: 'default', masquerade: {} }],
          },
        },
        networks: [{ name: 'default', pod: {} }],
        volumes: volumes.length ? volumes : [{ name: 'root', containerDisk: { image: 'disk:1' } }],
      },
    },
  },
})

test('a VirtualMachine starts, restarts after a shutdown, stops and goes', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  const isPrinted = (status: string) => (object: StoredObject | undefined) => object?.status?.printableStatus === status
  await client.create(virtualMachines, machine())
  const running = await until(virtualMachines, 'default/db', isPrinted('Running'))
  assert.equal(running.status.ready, true)
  assert.equal(running.status.created, true)
  assert.equal(running.status.runStrategy, 'Always')
  const first = platform.informers.informer(virtualMachineInstances).get('default/db')!
  assert.equal(first.metadata.labels?.app, 'web')

  // The guest powers itself off: Always means that there is a new instance.
  const off = { status: { phase: 'Succeeded' } }
  await client.patch(virtualMachineInstances, 'db', 'default', 'merge', off, { subresource: 'status' })
  await until(
    virtualMachineInstances,
    'default/db',
    (object) =>
      object !== undefined && object.metadata.uid !== first.metadata.uid && object.status?.phase === 'Running',
  )
  await until(virtualMachines, 'default/db', isPrinted('Running'))

  const memory = { spec: { template: { spec: { domain: { memory: { guest: '256Mi' } } } } } }
  await client.patch(virtualMachines, 'db', 'default', 'merge', memory)
  await until(virtualMachines, 'default/db', (object) => isTrue(object?.status?.conditions, 'RestartRequired'))

  await client.patch(virtualMachines, 'db', 'default', 'merge', { spec: { runStrategy: 'Halted' } })
  const halted = await until(virtualMachines, 'default/db', isPrinted('Stopped'))
  assert.equal(halted.status.ready, false)
  assert.equal(isTrue(halted.status.conditions, 'RestartRequired'), false)
  await client.delete(virtualMachines, 'db', 'default')
  await until(virtualMachines, 'default/db', (object) => object === undefined)
  await platform.untilEvents('SuccessfulCreate', [
    'Started the virtual machine by creating the new virtual machine instance db',
  ])
})

test('a card is plugged and unplugged by the template of a VirtualMachine', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until } = platform
  await client.create(virtualMachines, machine())
  const isRunning = (object: StoredObject | undefined) => object?.status?.printableStatus === 'Running'
  const { spec } = (await until(virtualMachines, 'default/db', isRunning)).spec.template
  const wire = (state?: string) => {
    const interfaces = [...spec.domain.devices.interfaces, { name: 'lab', bridge: {}, ...(state && { state }) }]
    const networks = [...spec.networks, { name: 'lab', multus: { networkName: 'lab' } }]
    const template = { spec: { networks, domain: { devices: { interfaces } } } }
    return client.patch(virtualMachines, 'db', 'default', 'merge', { spec: { template } })
  }
  const count = (spec: any) => [spec.networks.length, spec.domain.devices.interfaces.length]
  const shows = (names: string[]) => {
    const status = { interfaces: names.map((name) => ({ name })) }
    return client.patch(virtualMachineInstances, 'db', 'default', 'merge', { status }, { subresource: 'status' })
  }
  const generationOf = ({ metadata }: StoredObject) => metadata.annotations!['kubevirt.io/vm-generation']
  await wire()
  const plugged = await until(virtualMachineInstances, 'default/db', (one) => count(one!.spec)[1] === 2)
  assert.deepEqual(count(plugged.spec), [2, 2])
  await shows(['default', 'lab'])
  const { metadata } = await wire('absent')
  await until(
    virtualMachineInstances,
    'default/db',
    (one) =>
      one!.spec.domain.devices.interfaces[1].state === 'absent' && generationOf(one!) === `${metadata.generation}`,
  )
  await shows(['default'])
  await until(virtualMachineInstances, 'default/db', (one) => count(one!.spec)[0] === 1)
  const machines = await until(virtualMachines, 'default/db', (one) => count(one!.spec.template.spec)[0] === 1)
  assert.equal(isTrue(machines.status?.conditions, 'RestartRequired'), false)
  assert.deepEqual(machines.spec.template.spec, spec)
})

const claim: ApiObject = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data', namespace: 'default' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
}

test('a claim waits for its first Pod, gets a volume, and takes it along when it goes', async (t) => {
  const platform = await startTestPlatform()
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  await client.create(persistentVolumeClaims, claim)
  await until(persistentVolumeClaims, 'default/data', (object) => object?.status?.phase === 'Pending')
  assert.deepEqual(platform.volumes.created, [])
  await client.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'user', namespace: 'default' },
    spec: {
      containers: [{ name: 'c', image: 'i', volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
    },
  })
  await until(pods, 'default/user', (object) => object?.status?.phase === 'Running')
  const bound = await until(persistentVolumeClaims, 'default/data', (object) => object?.status?.phase === 'Bound')
  assert.equal(bound.spec.storageClassName, 'local')
  assert.deepEqual(bound.status.capacity, { storage: '1Gi' })
  const volume = platform.informers.informer(persistentVolumes).get(bound.spec.volumeName)!
  assert.deepEqual(platform.volumes.created, [volume.spec.local.path])

  // In use, it is protected; the last user gone, it goes, and its data with it.
  await client.delete(persistentVolumeClaims, 'data', 'default')
  await until(persistentVolumeClaims, 'default/data', (object) => Boolean(object?.metadata.deletionTimestamp))
  await client.delete(pods, 'user', 'default')
  await until(persistentVolumeClaims, 'default/data', (object) => object === undefined)
  await untilAll(persistentVolumes, (all) => all.length === 0)
  assert.deepEqual(platform.volumes.removed, platform.volumes.created)
})

test('a Pod that does not fit waits, says why, and is placed when there is room', async (t) => {
  const platform = await startTestPlatform({ allocatable: { cpu: '1', memory: '1Gi', pods: '10' } })
  t.after(() => platform.stop())
  const { client, until } = platform
  const pod = (name: string): ApiObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { containers: [{ name: 'c', image: 'i', resources: { requests: { cpu: '800m' } } }] },
  })
  await client.create(pods, pod('one'))
  await until(pods, 'default/one', (object) => object?.status?.phase === 'Running')
  await client.create(pods, pod('two'))
  const waiting = await until(pods, 'default/two', (object) =>
    object?.status?.conditions?.some((each: any) => each.type === 'PodScheduled' && each.status === 'False'),
  )
  const condition = waiting.status.conditions.find((each: any) => each.type === 'PodScheduled')
  assert.equal(condition.reason, 'Unschedulable')
  assert.equal(
    condition.message,
    '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.',
  )
  await client.delete(pods, 'one', 'default')
  await until(pods, 'default/two', (object) => object?.status?.phase === 'Running')
})

test('a Job runs until enough of its Pods have succeeded', async (t) => {
  const platform = await startTestPlatform({ fate: () => 'succeed' })
  t.after(() => platform.stop())
  const { client, until, untilAll } = platform
  await client.create(jobs, {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'report', namespace: 'default' },
    spec: {
      completions: 3,
      parallelism: 2,
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } },
    },
  })
  const done = await until(jobs, 'default/report', (object) => isTrue(object?.status?.conditions, 'Complete'))
  assert.equal(done.status.succeeded, 3)
  await platform.untilEvents('Completed', ['Job completed'])
  await client.delete(jobs, 'report', 'default', { propagationPolicy: 'Background' })
  await untilAll(pods, (all) => all.length === 0)
})

test('a Job that fails too often ends as Failed', async (t) => {
  const platform = await startTestPlatform({ fate: () => 'fail' })
  t.after(() => platform.stop())
  await platform.client.create(jobs, {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'broken', namespace: 'default' },
    spec: {
      backoffLimit: 0,
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } },
    },
  })
  const failed = await platform.until(jobs, 'default/broken', (object) => isTrue(object?.status?.conditions, 'Failed'))
  assert.equal(failed.status.failed, 1)
  const condition = failed.status.conditions.find((each: any) => each.type === 'Failed')
  assert.equal(condition.reason, 'BackoffLimitExceeded')
})
