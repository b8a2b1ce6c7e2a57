// Tandem is killed with SIGKILL at random moments, over and over, while objects are written and Pods and virtual machines
// start and stop; after each `tandem up` everything acknowledged is there, what ran is the same processes, and nothing
// belongs to nobody. restart.test.ts runs a few rounds; a person runs as many as they like, as root:
//
//   node_modules/.bin/node test/e2e/restart-rounds.ts 100 [seed]
//
// The seed of a run is printed at its start: the same one draws the same moments again.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isApiError } from '../../src/api/errors.ts'
import type { ResourceRef, StoredObject } from '../../src/api/meta.ts'
import { type Client, createClient } from '../../src/client/client.ts'
import { createHttpsTransport } from '../../src/client/https.ts'
import { accessFromKubeconfig } from '../../src/client/kubeconfig.ts'
import { type Machine, machineOf } from './remains.ts'
import { createLedger, isCut, type Ledger } from './restart-ledger.ts'
import {
  deployments,
  instances,
  lasting,
  lastingPod,
  type Manifest,
  machines,
  namespace,
  pods,
  shortPod,
  virtualMachine,
} from './restart-workloads.ts'
import { startTandem, type TestTandem } from './tandem.fixture.ts'

/** The kill comes after less than this long. */
const longestMs = 3_000
const settleMs = 600_000
const webReplicas = 2

export interface RoundsReport {
  writes: number
  /** Milliseconds of each `up`. */
  ups: number[]
}

interface Run {
  tandem: TestTandem
  machine: Machine
  ledger: Ledger
  random: () => number
  log: (line: string) => void
  /** Short-lived ones that were asked for, and not deleted since. */
  living: { ref: ResourceRef; name: string }[]
}

export async function runRounds(
  tandem: TestTandem,
  rounds: number,
  seed: number,
  log: (line: string) => void,
): Promise<RoundsReport> {
  const machine = machineOf(tandem.stateDir)
  const run: Run = { tandem, machine, ledger: createLedger(), random: randomFrom(seed), log, living: [] }
  const before = await withClient(tandem, async (client) => {
    for (const [ref, object] of lasting) await client.create(ref, object)
    await settled(run, client)
    return await keptProcesses(run, client)
  })
  const report: RoundsReport = { writes: 0, ups: [] }
  for (let round = 1; round <= rounds; round++) {
    const { writes, upMs } = await playRound(run, round, before)
    report.writes += writes
    report.ups.push(upMs)
  }
  await withClient(tandem, (client) => removeAll(run, client))
  return report
}

/** One kill and what must hold after it. */
async function playRound(run: Run, round: number, before: string[]): Promise<{ writes: number; upMs: number }> {
  const { tandem, ledger, random, log } = run
  const killAfter = Math.floor(random() * longestMs)
  const twice = random() < 0.25
  const twiceAfter = Math.floor(random() * 800)
  const writes = await withClient(tandem, async (client) => {
    const killing = sleep(killAfter).then(() => tandem.kill())
    const [counted] = await Promise.all([ledger.write(client, randomFrom(round)), churn(run, client, round), killing])
    return counted
  })
  if (twice) await killWhileStarting(tandem, twiceAfter)
  const started = Date.now()
  await tandem.up()
  const upMs = Date.now() - started
  await withClient(tandem, async (client) => {
    await ledger.check(client)
    assert.deepEqual(await keptProcesses(run, client), before, 'the processes of what stays, right after up')
    await settled(run, client)
    await noOrphans(run, client)
    await checkRestarts(client)
    assert.deepEqual(await keptProcesses(run, client), before, 'the processes of what stays')
  })
  const again = twice ? ` and ${twiceAfter} ms after its next start` : ''
  const settledMs = Date.now() - started - upMs
  log(`round ${round}: killed after ${killAfter} ms${again}, ${writes} writes, up ${upMs} ms, settled ${settledMs} ms`)
  return { writes, upMs }
}

/** Starts and stops workloads until the server is gone. */
async function churn(run: Run, client: Client, round: number): Promise<void> {
  const { random } = run
  const old = [...run.living]
  const steps: (() => Promise<unknown>)[] = []
  const create = (ref: ResourceRef, object: Manifest) => {
    // Noted first: without an answer it may be there all the same.
    run.living.push({ ref, name: object.metadata.name })
    steps.push(() => client.create(ref, object))
  }
  create(pods, lastingPod(`pod-${round}`))
  create(pods, shortPod(`once-${round}`))
  create(machines, virtualMachine(`vm-${round}`))
  const annotations = { round: `${round}` }
  const template = { spec: { template: { metadata: { annotations } } } }
  steps.push(() => client.patch(deployments, 'web', namespace, 'merge', template))
  for (const one of old)
    steps.push(async () => {
      await remove(client, one.ref, one.name)
      run.living = run.living.filter((other) => other !== one)
    })
  const moments = steps.map(() => random() * 1_000)
  const results = await Promise.allSettled(steps.map((step, index) => sleep(moments[index]).then(step)))
  for (const result of results) if (result.status === 'rejected' && !isCut(result.reason)) throw result.reason
}

/** The next process is killed, too, somewhere on its way to being ready. */
async function killWhileStarting(tandem: TestTandem, afterMs: number): Promise<void> {
  const dead = tandem.pid()
  const starting = tandem.tandem('up', '--listen', `127.0.0.1:${tandem.port}`)
  // The file is empty for a moment while the new number is written.
  while ([dead, 0].includes(tandem.pid())) await sleep(5)
  await sleep(afterMs)
  await tandem.kill()
  await starting
}

export async function withClient<T>(tandem: TestTandem, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = createHttpsTransport(accessFromKubeconfig(readFileSync(tandem.kubeconfig, 'utf8')))
  try {
    return await work(createClient(connection.transport, { userAgent: 'restart-rounds' }))
  } finally {
    connection.close()
  }
}

async function remove(client: Client, ref: ResourceRef, name: string): Promise<void> {
  await client.delete(ref, name, namespace).catch((error) => {
    if (!isApiError(error, 'NotFound')) throw error
  })
}

interface Workloads {
  pods: StoredObject[]
  machines: StoredObject[]
  instances: StoredObject[]
}

async function workloads(client: Client): Promise<Workloads> {
  const itemsOf = async (ref: ResourceRef) => (await client.list(ref, { namespace })).items
  // Pods that only show a machine are no workloads of their own.
  const own = { namespace, labelSelector: 'kubevirt.io!=virt-launcher' }
  return {
    pods: (await client.list(pods, own)).items,
    machines: await itemsOf(machines),
    instances: await itemsOf(instances),
  }
}

/** Waits until what should run runs, what should be over is over, and what was deleted is gone. */
async function settled(run: Run, client: Client): Promise<void> {
  await until(
    'everything settles',
    async () => isSettled(run, await workloads(client), await client.get(deployments, 'web', namespace)),
    async () =>
      Object.values(await workloads(client))
        .flat()
        .map(inShort),
  )
}

function isSettled(run: Run, found: Workloads, web: StoredObject): boolean {
  const all = [...found.pods, ...found.machines, ...found.instances]
  // Created without an answer, and not there: it was never asked for.
  run.living = run.living.filter(({ name }) => all.some(({ metadata }) => metadata.name === name))
  const names = new Set(['keeper', ...run.living.map(({ name }) => name)])
  const isReplica = ({ metadata }: StoredObject) => metadata.labels?.runs === 'replicas'
  const { observedGeneration, replicas, updatedReplicas, readyReplicas } = web.status ?? {}
  return (
    all.every((object) => names.has(object.metadata.name) || isReplica(object)) &&
    all.every((object) => !object.metadata.deletionTimestamp && isUp(object)) &&
    found.instances.length === found.machines.length &&
    found.pods.filter(isReplica).length === webReplicas &&
    observedGeneration === web.metadata.generation &&
    [replicas, updatedReplicas, readyReplicas].every((count) => count === webReplicas)
  )
}

const isReady = ({ status }: StoredObject): boolean =>
  status?.conditions?.some((one: { type: string; status: string }) => one.type === 'Ready' && one.status === 'True') ??
  false

function isUp(object: StoredObject): boolean {
  if (object.metadata.labels?.runs === 'once') return object.status?.phase === 'Succeeded'
  return object.kind === 'VirtualMachine' ? object.status?.printableStatus === 'Running' : isReady(object)
}

const inShort = ({ kind, metadata, status }: StoredObject) => ({
  what: `${kind} ${metadata.name} ${metadata.uid}`,
  deleted: metadata.deletionTimestamp,
  phase: status?.phase ?? status?.printableStatus,
  containers: status?.containerStatuses?.map((one: { state: object; ready: boolean }) => [one.ready, one.state]),
  conditions: status?.conditions?.filter((one: { status: string }) => one.status === 'False'),
})

/** A start that was cut off is no restart, and nothing else restarted. */
async function checkRestarts(client: Client): Promise<void> {
  for (const { metadata, status } of (await workloads(client)).pods)
    for (const one of [...(status.initContainerStatuses ?? []), ...status.containerStatuses])
      assert.equal(one.restartCount, 0, `restarts of ${metadata.name}: ${JSON.stringify(one)}`)
}

/** Of containers and QEMUs that stay. */
async function keptProcesses({ machine }: Run, client: Client): Promise<string[]> {
  const kept = await Promise.all([pods, instances].map((ref) => client.get(ref, 'keeper', namespace)))
  const uids = kept.map(({ metadata }) => metadata.uid)
  const emulators = [...machine.emulators()].flatMap(([owner, found]) => found.map((process) => ({ owner, process })))
  return [...(await machine.tasks()), ...emulators]
    .filter(({ owner }) => uids.includes(owner))
    .map(({ owner, process }) => `${owner}: pid ${process.pid}, started at ${process.startTime}`)
    .sort()
}

/** Waits until everything on this machine belongs to an object. */
async function noOrphans({ machine }: Run, client: Client): Promise<void> {
  const orphans = async () => {
    // Objects last: what appears in between has its object by then.
    const remains = await machine.remains()
    const owners = ownersOf(Object.values(await workloads(client)).flat())
    return remains.filter(({ owner }) => !owners.has(owner))
  }
  await until('nothing is orphaned', async () => (await orphans()).length === 0, orphans)
}

const ownersOf = (objects: StoredObject[]): Set<string> =>
  new Set(
    objects.flatMap(({ metadata, status }) => [
      metadata.uid,
      `${metadata.namespace}/${metadata.name}`,
      status?.podIP,
      status?.interfaces?.[0]?.ipAddress,
    ]),
  )

async function removeAll({ machine, ledger, living }: Run, client: Client): Promise<void> {
  await ledger.check(client)
  for (const { ref, name } of living) await remove(client, ref, name)
  for (const [ref, { metadata }] of lasting) await remove(client, ref, metadata.name)
  await until(
    'nothing is left on the machine',
    async () => (await machine.remains()).length === 0,
    () => machine.remains(),
  )
}

async function until(what: string, holds: () => Promise<boolean>, explain: () => Promise<unknown>): Promise<void> {
  const end = Date.now() + settleMs
  while (!(await holds())) {
    if (Date.now() > end)
      assert.fail(`not within ${settleMs / 1000} s: ${what}\n${JSON.stringify(await explain(), null, 1)}`)
    await sleep(100)
  }
}

/** mulberry32: small, and the same everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

async function main(): Promise<void> {
  const [rounds = 100, seed = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
  console.log(`${rounds} rounds, seed ${seed}`)
  const tandem = await startTandem({ images: ['busybox', 'minimal-vm'] })
  const began = Date.now()
  const { writes, ups } = await runRounds(tandem, rounds, seed, console.log).catch((error) => {
    console.error(
      `left for a look: ${tandem.stateDir} (end it with: ./tandem down --all --state-dir ${tandem.stateDir})`,
    )
    throw error
  })
  await tandem.close()
  const middle = ups.toSorted((a, b) => a - b)[Math.floor(ups.length / 2)]
  const minutes = ((Date.now() - began) / 60_000).toFixed(1)
  console.log(
    `${rounds} rounds in ${minutes} minutes: ${writes} acknowledged writes, all there; up took ${middle} ms (median)`,
  )
}

if (import.meta.main) await main()
