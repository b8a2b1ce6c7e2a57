// A whole platform in one process for tests: the real API server over a store in memory, all controllers, and a node
// whose kubelet only pretends. Nothing waits for time: tests wait for objects to become what they should be.

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { realClock } from '../base/clock.ts'
import { createLogger, type LogRecord } from '../base/log.ts'
import { createCachingClient } from '../client/caching-client.ts'
import { type Client, createClient } from '../client/client.ts'
import { createInformerFactory, type InformerFactory } from '../client/informer.ts'
import { createRecorder } from '../client/record.ts'
import { kinds } from '../kinds/index.ts'
import { createApiServer, transportFor } from '../server/apiserver.ts'
import { createMemoryStore } from '../store/memory.ts'
import { bootstrap } from './bootstrap.ts'
import { controllers } from './index.ts'
import { isFinished } from './pod-state.ts'
import { nodes, pods, serviceAccounts, virtualMachineInstances } from './resources.ts'

export interface TestPlatform {
  client: Client
  informers: InformerFactory
  /** Resolves when the object (undefined: it does not exist) is as `holds` says; fails after some seconds. */
  until(
    ref: ResourceRef,
    key: string,
    holds: (object: StoredObject | undefined) => boolean,
    what?: string,
  ): Promise<StoredObject>
  /** Resolves when the collection is as `holds` says. */
  untilAll(ref: ResourceRef, holds: (objects: StoredObject[]) => boolean, what?: string): Promise<StoredObject[]>
  /** Resolves when the Events with this reason have these messages. */
  untilEvents(reason: string, messages: (string | RegExp)[]): Promise<void>
  /** Volumes made and removed by the local StorageClass. */
  volumes: { created: string[]; removed: string[] }
  /** Lines of the log that tell of a failure. */
  complaints: LogRecord[]
  stop(): Promise<void>
}

const patience = 60_000
/** A kubelet's; a node that says nothing is NotReady, however slow the machine is on which the tests run. */
const heartbeatMs = 10_000
export const nodeName = 'node-1'

export interface TestPlatformOptions {
  /** What the pretended kubelet says of a Pod that was bound: 'run' (default), 'succeed', 'fail' or 'ignore'. */
  fate?: (pod: StoredObject) => 'run' | 'succeed' | 'fail' | 'ignore'
  allocatable?: Record<string, string>
}

export async function startTestPlatform(options: TestPlatformOptions = {}): Promise<TestPlatform> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const complaints: LogRecord[] = []
  const log = createLogger((line) => complaints.push(line), { level: 'warn' })
  const server = createApiServer({
    store: createMemoryStore(),
    kinds,
    pki: { accountKey: privateKey },
    services: { cidr: '10.96.0.0/16' },
    log,
  })
  await server.start()
  const transport = transportFor(server)
  const plain = createClient(transport, { userAgent: 'test' })
  const informers = createInformerFactory({ client: plain, log })
  const client = createCachingClient(plain, informers)
  const volumes = { created: [] as string[], removed: [] as string[] }
  await bootstrap(client, kinds)
  const node = testNode(options.allocatable)
  await client.updateStatus(nodes, { ...(await client.create(nodes, node)), status: node.status })
  const running = controllers.map((controller) =>
    controller.start({
      client: createCachingClient(createClient(transport, { userAgent: controller.name }), informers),
      informers,
      clock: realClock,
      log,
      recorder: (component) => createRecorder({ client, component, log }).record,
      kinds: () => kinds,
      settings: {
        volumes: {
          dir: '/volumes',
          create: async (path) => void volumes.created.push(path),
          remove: async (path) => void volumes.removed.push(path),
        },
        issueAccountToken: server.tokens.issueLegacy,
        caCertificate: 'CA',
        services: { cidr: '10.96.0.0/16', address: '192.0.2.10' },
        api: { clusterIP: '10.96.0.1', endpointIP: '10.96.0.1', port: 6443 },
      },
    }),
  )
  pretendKubelet(client, informers, options)
  const heartbeat = setInterval(() => void beat(client), heartbeatMs)
  pretendMachines(client, informers)

  const complaintText = () =>
    complaints
      .map(({ component, message, fields }) => `${component}: ${message} ${fields.key} ${fields.error}`)
      .join('\n')

  function untilAll(ref: ResourceRef, holds: (objects: StoredObject[]) => boolean, what = ref.resource) {
    const informer = informers.informer(ref)
    return new Promise<StoredObject[]>((resolve, reject) => {
      const look = () => {
        if (!holds(informer.list())) return
        clearTimeout(timer)
        resolve(informer.list())
      }
      const timer = setTimeout(() => {
        const seen = JSON.stringify(informer.list(), withoutNoise, 1).slice(0, 4000)
        reject(new Error(`${what}: not within ${patience} ms. There is: ${seen}\n${complaintText()}`))
      }, patience)
      informer.addHandler({ changed: look, removed: look })
      void informer.synced().then(look)
    })
  }

  const platform: TestPlatform = {
    client,
    informers,
    volumes,
    complaints,
    untilAll,
    async until(ref, key, holds, what = `${ref.resource} ${key}`) {
      await untilAll(ref, () => holds(informers.informer(ref).get(key)), what)
      return informers.informer(ref).get(key)!
    },
    async untilEvents(reason, messages) {
      const holds = (all: StoredObject[]) => {
        const found = all.filter((event) => event.reason === reason).map((event) => event.message as string)
        return messages.every((message) =>
          found.some((text) => (message instanceof RegExp ? message.test(text) : message === text)),
        )
      }
      await untilAll({ group: '', version: 'v1', resource: 'events' }, holds, `events ${reason}`)
    },
    async stop() {
      clearInterval(heartbeat)
      await Promise.all(running.map((controller) => controller.stop()))
      informers.stop()
      server.stop()
    },
  }
  // Pods are refused until their account is there.
  await platform.until(serviceAccounts, 'default/default', Boolean)
  return platform
}

const withoutNoise = (name: string, value: unknown): unknown => (name === 'managedFields' ? undefined : value)

const testNode = (allocatable: Record<string, string> = { cpu: '4', memory: '8Gi', pods: '110' }): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: nodeName, labels: { 'kubernetes.io/hostname': nodeName } },
  spec: {},
  status: {
    allocatable,
    capacity: allocatable,
    conditions: [{ type: 'Ready', status: 'True', reason: 'KubeletReady', message: '' }],
  },
})

/** The node is there still. */
async function beat(client: Client): Promise<void> {
  const status = { conditions: [{ type: 'Ready', lastHeartbeatTime: formatTime(Date.now()) }] }
  await client.patch(nodes, nodeName, undefined, 'strategic', { status }, { subresource: 'status' }).catch(() => {})
}

let nextAddress = 1

/** Bound Pods run and are ready at once; Pods that are deleted go when they have stopped. */
function pretendKubelet(client: Client, informers: InformerFactory, { fate = () => 'run' }: TestPlatformOptions): void {
  const ignoreLost = () => {}
  informers.informer(pods).addHandler({
    changed(pod) {
      const { name, namespace, uid, deletionTimestamp } = pod.metadata
      if (!pod.spec.nodeName) return
      if (deletionTimestamp) {
        void client.delete(pods, name, namespace, { gracePeriodSeconds: 0, preconditions: { uid } }).catch(ignoreLost)
        return
      }
      const wish = fate(pod)
      const phase = { run: 'Running', succeed: 'Succeeded', fail: 'Failed', ignore: undefined }[wish]
      // What has ended stays as it ended, whoever said so.
      if (!phase || pod.status?.phase === phase || isFinished(pod)) return
      const time = formatTime(Date.now())
      const patch = {
        status: {
          phase,
          podIP: `10.42.0.${nextAddress++}`,
          conditions: [{ type: 'Ready', status: wish === 'run' ? 'True' : 'False', lastTransitionTime: time }],
        },
      }
      void client.patch(pods, name, namespace, 'strategic', patch, { subresource: 'status' }).catch(ignoreLost)
    },
    removed() {},
  })
}

/** Machine instances run at once; when they are deleted, their finalizer goes. */
function pretendMachines(client: Client, informers: InformerFactory): void {
  informers.informer(virtualMachineInstances).addHandler({
    changed(instance) {
      const { name, namespace, deletionTimestamp } = instance.metadata
      const ignoreLost = () => {}
      if (deletionTimestamp) {
        const patch = { metadata: { finalizers: null } }
        void client.patch(virtualMachineInstances, name, namespace, 'merge', patch).catch(ignoreLost)
      } else if (!instance.status?.phase || instance.status.phase === 'Pending') {
        const time = formatTime(Date.now())
        const status = {
          phase: 'Running',
          nodeName,
          phaseTransitionTimestamps: [{ phase: 'Running', phaseTransitionTimestamp: time }],
          interfaces: [{ name: 'default', ipAddress: '10.42.128.7' }],
          conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: time, lastProbeTime: null }],
        }
        void client
          .patch(virtualMachineInstances, name, namespace, 'merge', { status }, { subresource: 'status' })
          .catch(ignoreLost)
      }
    },
    removed() {},
  })
}

/** Fails the test with the whole list when the lengths differ. */
export const assertNames = (objects: StoredObject[], expected: string[]): void =>
  assert.deepEqual(objects.map((object) => object.metadata.name).sort(), expected.sort())
