// Who goes, when, and with which words.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../base/clock.ts'
import { silentLogger } from '../../base/log.ts'
import { podOf } from '../pods/pod.fixture.ts'
import type { PodObject } from '../pods/pod.ts'
import type { Usage } from '../stats/usage.ts'
import { createEviction, type Signals } from './eviction.ts'
import { hasStorageLimits, overLimit } from './local-storage.ts'
import { hungriest } from './ranking.ts'
import { imageNames, unusedImages } from './unused-images.ts'

const mi = 1024 * 1024
const plenty: Signals = {
  memoryAvailable: 500 * mi,
  diskAvailable: 50 * mi,
  diskCapacity: 100 * mi,
  inodesFree: 9,
  inodes: 10,
}

const pod = (uid: string, request: string, more: object = {}): PodObject =>
  podOf(
    { containers: [{ name: 'c', image: 'x', resources: { requests: { memory: request } } }], ...more },
    { uid, name: uid },
  )

const usageOf = (used: Record<string, number>): Usage =>
  ({
    at: 0,
    windowMs: 1000,
    workloads: Object.entries(used).map(([uid, workingSetBytes]) => ({ uid, parts: [{ name: 'c', workingSetBytes }] })),
  }) as unknown as Usage

test('who uses more than it asked for goes before who does not, the less important first', () => {
  const pods = [
    pod('modest', '200Mi'),
    pod('greedy', '10Mi', { priority: 5 }),
    pod('greedy-important', '10Mi', { priority: 100 }),
    pod('critical', '0', { priority: 2_000_000_000 }),
  ]
  const usage = usageOf({ modest: 150 * mi, greedy: 100 * mi, 'greedy-important': 500 * mi, critical: 900 * mi })
  const order = hungriest(pods, usage).map((one) => one.pod.metadata.name)
  assert.deepEqual(order, ['greedy', 'greedy-important', 'modest'])
})

test('local storage that was promised and exceeded', () => {
  const volume = podOf({ volumes: [{ name: 'v', emptyDir: { sizeLimit: '5Mi' } }] })
  const none = new Map<string, number>()
  assert.ok(hasStorageLimits(volume))
  assert.equal(overLimit(volume, { volumes: new Map([['v', 5 * mi]]), containers: none }), undefined)
  assert.equal(
    overLimit(volume, { volumes: new Map([['v', 6 * mi]]), containers: none }),
    'Usage of EmptyDir volume "v" exceeds the limit "5Mi". ',
  )
  const limited = podOf({
    containers: [{ name: 'c', image: 'x', resources: { limits: { 'ephemeral-storage': '5Mi' } } }],
  })
  assert.match(
    overLimit(limited, { volumes: none, containers: new Map([['c', 6 * mi]]) })!,
    /^Pod ephemeral local storage/,
  )
  assert.equal(hasStorageLimits(podOf()), false)
})

test('low memory ends one Pod at a time and stays in the conditions for a while', async () => {
  const clock = new FakeClock()
  const ended: string[] = []
  let told = 0
  let signals: Signals = { ...plenty, memoryAvailable: 90 * mi }
  const manager = createEviction({
    pods: () => [pod('a', '0'), pod('b', '0')],
    usage: async () => usageOf({ a: 10 * mi, b: 20 * mi }),
    localUsage: async () => ({ volumes: new Map(), containers: new Map() }),
    evict: (uid, { reason, disruption }) => void ended.push(`${uid} ${reason} ${disruption}`),
    signals: () => signals,
    makeRoom: async () => assert.fail('memory is no matter of the disk'),
    changed: () => void told++,
    clock,
    log: silentLogger,
  })
  const memory = () => manager.conditions().find(({ type }) => type === 'MemoryPressure')!
  manager.start()
  assert.equal(memory().status, 'False')
  await clock.advance(10_000)
  assert.deepEqual(ended, ['b Evicted true'])
  assert.deepEqual([memory().status, memory().reason], ['True', 'KubeletHasInsufficientMemory'])
  signals = { ...signals, memoryAvailable: 500 * mi }
  await clock.advance(200_000)
  assert.equal(memory().status, 'True')
  await clock.advance(200_000)
  assert.equal(memory().status, 'False')
  assert.equal(told, 2)
  manager.stop()
})

test('a full disk: first what nobody uses goes, then the Pod that exceeds its request by most, the less important first', async () => {
  const clock = new FakeClock()
  const happened: string[] = []
  let signals: Signals = { ...plenty, diskAvailable: 9 * mi }
  const asks = (uid: string, request: string, more: object = {}): PodObject =>
    podOf(
      { containers: [{ name: 'c', image: 'x', resources: { requests: { 'ephemeral-storage': request } } }], ...more },
      { uid, name: uid },
    )
  const sizes: Record<string, number> = { modest: 80 * mi, large: 30 * mi, small: 20 * mi, precious: 90 * mi }
  const manager = createEviction({
    pods: () => [
      asks('modest', '100Mi'),
      asks('precious', '0', { priority: 5 }),
      asks('small', '0'),
      asks('large', '0'),
    ],
    usage: async () => usageOf({}),
    localUsage: async ({ metadata }) => ({
      volumes: new Map([['v', sizes[metadata.uid]! / 2]]),
      containers: new Map([['c', sizes[metadata.uid]! / 2]]),
    }),
    evict: (uid, { message }) => void happened.push(`${uid}: ${message}`),
    signals: () => signals,
    makeRoom: async () => {
      happened.push('room')
      if (happened.length === 1) signals = plenty
    },
    changed: () => {},
    clock,
    log: silentLogger,
  })
  manager.start()
  await clock.advance(10_000)
  assert.deepEqual(happened, ['room'], 'that was enough')
  assert.equal(manager.conditions()[1]!.status, 'True')
  signals = { ...plenty, diskAvailable: 9 * mi }
  await clock.advance(10_000)
  assert.deepEqual(happened.slice(1), [
    'room',
    'large: The node was low on resource: ephemeral-storage. Threshold quantity: 10240Ki, available: 9216Ki. Container c was using 15360Ki, request is 0, has larger consumption of ephemeral-storage. ',
  ])
  signals = { ...plenty, inodesFree: 2, inodes: 100 }
  await clock.advance(10_000)
  assert.match(happened.at(-1)!, /^large: The node was low on resource: inodes. Threshold quantity: 5, available: 2. /)
  manager.stop()
})

test('images that nobody names and a registry has may go, the largest first', () => {
  const image = (name: string, sizeBytes: number, isPulled = true) => ({
    id: `sha256:${name}`,
    repoTags: [`docker.io/library/${name}:latest`],
    repoDigests: isPulled ? [`docker.io/library/${name}@sha256:0`] : [],
    sizeBytes,
  })
  const used = imageNames([
    { spec: { containers: [{ image: 'web' }], volumes: [{ image: { reference: 'data:latest' } }] } },
    { spec: { template: { spec: { volumes: [{ containerDisk: { image: 'disk' } }] } } } },
    { status: { containerStatuses: [{ image: 'x', imageID: 'sha256:byid' }] } },
  ])
  const images = [image('web', 1), image('data', 1), image('disk', 1), image('byid', 1), image('own', 9, false)]
  assert.deepEqual(
    unusedImages([...images, image('small', 1), image('big', 5)], used).map(({ id }) => id),
    ['sha256:big', 'sha256:small'],
  )
})
