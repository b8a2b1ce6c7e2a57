// Tandem is killed with SIGKILL at random moments while Pods in machines of their own start and end: afterwards all of them
// are as they should be, and no QEMU, file server, interface, mount or namespace is nobody's. As root, with more rounds:
//
//   TANDEM_TEST_ROUNDS=100 node_modules/.bin/node --test test/e2e/isolation-kill.test.ts

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoredObject } from '../../src/api/meta.ts'
import type { Client } from '../../src/client/client.ts'
import { type Machine, machineOf } from './remains.ts'
import { isCut } from './restart-ledger.ts'
import { randomFrom, withClient } from './restart-rounds.ts'
import { type Manifest, namespace, pods } from './restart-workloads.ts'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

const rounds = Number(process.env.TANDEM_TEST_ROUNDS ?? 2)
/** About as long as a machine takes to start, where it is emulated. */
const longestMs = 8_000
/** A machine that is emulated on a busy machine takes its time. */
const settleMs = 480_000
const image = 'tandem.dev/busybox:1'

let tandem: TestTandem
let machine: Machine

before(async () => {
  tandem = await startTandem({ images: ['busybox'] })
  machine = machineOf(tandem.stateDir)
})

after(() => tandem?.close())

const pod = (name: string, restartPolicy: string, script: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: {
    runtimeClassName: 'microvm',
    restartPolicy,
    terminationGracePeriodSeconds: 1,
    volumes: [{ name: 'data', emptyDir: {} }],
    containers: [
      { name: 'main', image, command: ['sh', '-c', script], volumeMounts: [{ name: 'data', mountPath: '/data' }] },
    ],
  },
})
const lasting = (name: string) => pod(name, 'Always', 'trap "exit 0" TERM; while :; do sleep 1000 & wait $!; done')
const short = (name: string) => pod(name, 'Never', 'echo over > /data/file; exit 5')

const list = async (client: Client) => (await client.list(pods, { namespace })).items

const isReady = ({ status }: StoredObject): boolean =>
  status?.conditions?.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True')

const isAsItShould = (object: StoredObject): boolean =>
  object.metadata.name.startsWith('once-') ? object.status?.phase === 'Failed' : isReady(object)

async function settled(client: Client, wanted: string[]): Promise<void> {
  let seen: StoredObject[] = []
  const holds = async () => {
    seen = await list(client)
    return (
      seen
        .map(({ metadata }) => metadata.name)
        .sort()
        .join() === wanted.toSorted().join() && seen.every(isAsItShould)
    )
  }
  await until('all Pods are as they should be', holds, settleMs).catch((error) => {
    throw new Error(JSON.stringify(seen.map(({ metadata, status }) => [metadata.name, status])), { cause: error })
  })
  for (const { metadata, status } of seen) {
    const [{ restartCount, state }] = status.containerStatuses
    assert.equal(restartCount, 0, metadata.name)
    // It may have ended while nobody was there to see how, but it has never ended otherwise.
    if (metadata.name.startsWith('once-')) assert.equal(state.terminated.exitCode, 5, metadata.name)
  }
}

async function noOrphans(client: Client): Promise<void> {
  let orphans: unknown[] = []
  const none = async () => {
    const remains = await machine.remains()
    const owners = new Set((await list(client)).flatMap(({ metadata, status }) => [metadata.uid, status?.podIP]))
    orphans = remains.filter(({ owner }) => !owners.has(owner))
    return orphans.length === 0
  }
  await until('nothing is orphaned', none, settleMs).catch((error) => {
    throw new Error(JSON.stringify(orphans, null, 1), { cause: error })
  })
}

const processesOf = async (uid: string) =>
  (await machine.tasks())
    .filter(({ owner }) => owner === uid)
    .map(({ process }) => process)
    .sort((one, other) => one.pid - other.pid)

async function change(client: Client, random: () => number, round: number): Promise<void> {
  const steps: (() => Promise<unknown>)[] = [
    () => client.create(pods, lasting(`pod-${round}`)),
    () => client.create(pods, short(`once-${round}`)),
    ...(round > 1 ? [`pod-${round - 1}`, `once-${round - 1}`] : []).map(
      (name) => () => client.delete(pods, name, namespace),
    ),
  ]
  const moments = steps.map(() => random() * 1_000)
  const results = await Promise.allSettled(steps.map((step, index) => sleep(moments[index]).then(step)))
  for (const result of results) if (result.status === 'rejected' && !isCut(result.reason)) throw result.reason
}

/** What a cut call did not get done is asked for again. */
async function finish(client: Client, round: number): Promise<string[]> {
  const wanted = [lasting('keeper'), lasting(`pod-${round}`), short(`once-${round}`)]
  const names = wanted.map(({ metadata }) => metadata.name)
  const there = await list(client)
  for (const object of wanted)
    if (!there.some(({ metadata }) => metadata.name === object.metadata.name)) await client.create(pods, object)
  for (const { metadata } of there)
    if (!names.includes(metadata.name) && !metadata.deletionTimestamp)
      await client.delete(pods, metadata.name, namespace)
  return names
}

test(`${rounds} rounds`, { timeout: 1_800_000 * Math.min(rounds, 1_000) }, async (t) => {
  const seed = Number(process.env.TANDEM_TEST_SEED ?? Date.now() % 1_000_000)
  t.diagnostic(`seed ${seed}: the same moments again with TANDEM_TEST_SEED=${seed}`)
  const random = randomFrom(seed)
  const keeper = await withClient(tandem, async (client) => {
    const { metadata } = await client.create(pods, lasting('keeper'))
    await settled(client, ['keeper'])
    return { uid: metadata.uid, processes: await processesOf(metadata.uid) }
  })
  assert.equal(keeper.processes.length, 2)
  for (let round = 1; round <= rounds; round++) {
    const killAfter = Math.floor(random() * longestMs)
    const began = Date.now()
    await withClient(tandem, async (client) => {
      await Promise.all([change(client, random, round), sleep(killAfter).then(() => tandem.kill())])
    })
    await tandem.up()
    await withClient(tandem, async (client) => {
      await settled(client, await finish(client, round))
      await noOrphans(client)
      assert.deepEqual(await processesOf(keeper.uid), keeper.processes, 'the machine that stays')
    })
    t.diagnostic(`round ${round}: killed after ${killAfter} ms, ${Date.now() - began} ms in all`)
  }
  await withClient(tandem, async (client) => {
    for (const { metadata } of await list(client)) await client.delete(pods, metadata.name, namespace)
    let left: unknown[] = []
    await until('nothing is left', async () => {
      left = await machine.remains()
      return left.length === 0
    }).catch((error) => {
      throw new Error(JSON.stringify(left, null, 1), { cause: error })
    })
  })
})
