// Virtual machines under I/O while Tandem and single QEMUs are killed with SIGKILL at random: no write that a guest
// acknowledged is lost, nothing is left that belongs to nobody, and each machine ends as its run strategy has it. A person
// runs it for as long as they like, as root:
//
//   node_modules/.bin/node test/e2e/machine-chaos.ts 15 [seed] [machines]
//
// The seed of a run is printed at its start: the same one draws the same victims again.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isApiError } from '../../src/api/errors.ts'
import type { StoredObject } from '../../src/api/meta.ts'
import type { Client } from '../../src/client/client.ts'
import { acknowledgedIn, firstMissing, keepJournal } from './machine-journal.ts'
import { type Machine, machineOf } from './remains.ts'
import { randomFrom, withClient } from './restart-rounds.ts'
import { instances, type Manifest, machines, namespace } from './restart-workloads.ts'
import { startTandem, type TestTandem } from './tandem.fixture.ts'

const claims = { group: '', version: 'v1', resource: 'persistentvolumeclaims' }
/** Of ten machines. */
const mix = [
  'Always',
  'Always',
  'RerunOnFailure',
  'Always',
  'Manual',
  'Always',
  'RerunOnFailure',
  'Always',
  'Once',
  'Always',
]
const startedByItself = new Set(['Always', 'RerunOnFailure'])
/** The longest wait after failures to start, and a boot beside all others. */
const settleMs = 900_000
/** A machine that was killed sooner after its start waits before the next one: most victims are older. */
const shortestRunMs = 11_000

interface Guest {
  name: string
  strategy: string
  /** The highest record that the guest said to be on its disk. */
  acknowledged: number
  /** The instance whose guest keeps its journal. */
  keeps?: string
  kills: number
  /** Its QEMU was killed and nothing starts another one. */
  isOver: boolean
}

interface Run {
  tandem: TestTandem
  machine: Machine
  guests: Guest[]
  random: () => number
  log: (line: string) => void
  /** Tandem is there, as far as this program has to do with it. */
  isUp: boolean
  isEnding: boolean
  failure?: unknown
}

const claim = (name: string): Manifest => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name, namespace },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
})

const virtualMachine = ({ name, strategy }: Guest): Manifest => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name, namespace },
  spec: {
    runStrategy: strategy,
    template: {
      spec: {
        terminationGracePeriodSeconds: 5,
        domain: {
          memory: { guest: '128Mi' },
          devices: {
            disks: ['root', 'journal'].map((disk) => ({ name: disk, disk: { bus: 'virtio' } })),
            interfaces: [{ name: 'default', masquerade: {} }],
            autoattachGraphicsDevice: false,
          },
        },
        networks: [{ name: 'default', pod: {} }],
        volumes: [
          { name: 'root', containerDisk: { image: 'tandem.dev/minimal-vm:1' } },
          { name: 'journal', persistentVolumeClaim: { claimName: name } },
        ],
      },
    },
  },
})

export interface ChaosReport {
  tandemKills: number
  machineKills: number
  records: number
}

export async function runChaos(
  tandem: TestTandem,
  options: { seconds: number; seed: number; machines: number; log: (line: string) => void },
): Promise<ChaosReport> {
  const { seconds, seed, log } = options
  const guests = Array.from({ length: options.machines }, (_, index): Guest => {
    const strategy = mix[index % mix.length]!
    return { name: `${strategy.toLowerCase()}-${index}`, strategy, acknowledged: -1, kills: 0, isOver: false }
  })
  const machine = machineOf(tandem.stateDir)
  const run: Run = { tandem, machine, guests, random: randomFrom(seed), log, isUp: true, isEnding: false }
  await withClient(tandem, async (client) => {
    for (const guest of guests) {
      await client.create(claims, claim(guest.name))
      await client.create(machines, virtualMachine(guest))
    }
    await startByHand(run, client)
  })
  const keepers = guests.map((guest) => keepAll(run, guest))
  await until('every guest keeps its journal', run, async () => guests.every(({ keeps }) => keeps !== undefined))
  log(`${guests.length} guests keep their journals`)
  const report = await killAtRandom(run, seconds * 1000)
  run.isEnding = true
  await Promise.all(keepers)
  if (run.failure) throw run.failure
  await withClient(tandem, async (client) => {
    await endsAsDemanded(run, client)
    await nothingIsLost(run, client)
    await nothingIsStranded(run, client)
  })
  return { ...report, records: guests.reduce((sum, { acknowledged }) => sum + acknowledged + 1, 0) }
}

/** Those that run only when somebody says so. */
async function startByHand({ tandem, guests }: Run, client: Client): Promise<void> {
  for (const { name, strategy } of guests) {
    if (strategy !== 'Manual') continue
    const path = `/apis/subresources.kubevirt.io/v1/namespaces/${namespace}/virtualmachines/${name}/start`
    await client.get(machines, name, namespace)
    const { code, stderr } = await tandem.tryKubectl(['replace', '--raw', path, '-f', '-'], '{}')
    assert.equal(code, 0, stderr)
  }
}

const serialLogOf = ({ tandem }: Run, uid: string): string => join(tandem.stateDir, 'machines', uid, 'serial.log')

function noteAcknowledged(run: Run, guest: Guest, uid: string | undefined): number {
  if (uid) guest.acknowledged = Math.max(guest.acknowledged, acknowledgedIn(serialLogOf(run, uid)))
  return guest.acknowledged
}

/** Each guest that comes up looks through its journal and goes on with it. */
async function keepAll(run: Run, guest: Guest): Promise<void> {
  while (!run.isEnding && !run.failure) {
    await sleep(250)
    if (!run.isUp) continue
    try {
      const uid = await withClient(run.tandem, (client) => runningInstance(client, guest.name))
      if (!uid || uid === guest.keeps) continue
      await keepJournal(run.tandem.kubeconfig, guest.name, () => noteAcknowledged(run, guest, uid), true)
      guest.keeps = uid
    } catch (error) {
      // What is lost is lost; a Tandem or a guest that went away meanwhile is asked again.
      if (/acknowledged, and record/.test((error as Error).message)) run.failure = error
    }
  }
}

async function runningInstance(client: Client, name: string): Promise<string | undefined> {
  const instance = await instanceOf(client, name)
  const isUp = instance?.status?.phase === 'Running' && !instance.metadata.deletionTimestamp
  return isUp ? instance.metadata.uid : undefined
}

async function instanceOf(client: Client, name: string): Promise<StoredObject | undefined> {
  return await client.get(instances, name, namespace).catch((error) => {
    if (isApiError(error, 'NotFound')) return undefined
    throw error
  })
}

async function killAtRandom(run: Run, forMs: number): Promise<{ tandemKills: number; machineKills: number }> {
  const { random, log } = run
  const end = Date.now() + forMs
  const counts = { tandemKills: 0, machineKills: 0 }
  while (Date.now() < end && !run.failure) {
    await sleep(500 + random() * 3_500)
    // Guests need time to come back, or nothing is left to be lost.
    const living = run.guests.filter(({ isOver }) => !isOver).length
    if (random() < 0.25 && keeping(run).length * 3 >= living) {
      run.isUp = false
      await run.tandem.kill()
      counts.tandemKills++
      // Some die while nobody looks.
      const unseen = random() < 0.5 ? killOne(run) : undefined
      if (unseen) counts.machineKills++
      await sleep(random() * 3_000)
      await run.tandem.up()
      run.isUp = true
      log(`killed Tandem${unseen ? ` and ${unseen} while it was away` : ''}`)
    } else {
      const victim = killOne(run)
      if (!victim) continue
      counts.machineKills++
      log(`killed the QEMU of ${victim}`)
    }
  }
  return counts
}

/** Guests whose journal goes on now. */
function keeping({ machine, guests }: Run): Guest[] {
  const emulators = machine.emulators()
  return guests.filter(({ keeps }) => keeps && emulators.has(keeps))
}

/** The name of the machine whose QEMU was killed. */
function killOne(run: Run): string | undefined {
  const { machine, random } = run
  const emulators = machine.emulators()
  const candidates = keeping(run)
  const old = candidates.filter(({ keeps }) => ageOf(emulators.get(keeps!)![0]!) > shortestRunMs)
  const among = random() < 0.9 ? old : candidates
  const guest = among[Math.floor(random() * among.length)]
  if (!guest) return undefined
  for (const { pid } of emulators.get(guest.keeps!)!) process.kill(pid, 'SIGKILL')
  // The file is there until Tandem has seen the end: what it says now was said before.
  noteAcknowledged(run, guest, guest.keeps)
  guest.kills++
  if (!startedByItself.has(guest.strategy)) guest.isOver = true
  return guest.name
}

/** startTime: clock ticks since the machine's start, a hundredth of a second each. */
const ageOf = ({ startTime }: { startTime: string }): number => process.hrtime()[0] * 1000 - Number(startTime) * 10

async function endsAsDemanded(run: Run, client: Client): Promise<void> {
  const off: string[] = []
  await until(
    'each machine is as its run strategy has it',
    run,
    async () => {
      off.length = 0
      for (const { name, isOver } of run.guests) {
        const { status } = await client.get(machines, name, namespace)
        const instance = await instanceOf(client, name)
        const seen = `${status?.printableStatus}/${instance?.status?.phase}`
        if (seen !== (isOver ? 'Stopped/Failed' : 'Running/Running')) off.push(`${name}: ${seen}`)
      }
      return off.length === 0
    },
    () => off.join(', '),
  )
}

/** Each guest that runs reads its own disk once more; each disk is read from the host, too. */
async function nothingIsLost(run: Run, client: Client): Promise<void> {
  for (const guest of run.guests) {
    const instance = await instanceOf(client, guest.name)
    const uid = instance?.metadata.uid
    if (instance?.status?.phase === 'Running')
      await keepJournal(run.tandem.kubeconfig, guest.name, () => noteAcknowledged(run, guest, uid), false)
    noteAcknowledged(run, guest, uid)
    const { spec } = await client.get(claims, guest.name, namespace)
    const volume = `${spec.volumeName}_${namespace}_${guest.name}`
    const image = join(run.tandem.stateDir, 'volumes', volume, 'disk.img')
    assert.ok(existsSync(image), image)
    const missing = firstMissing(image, guest.acknowledged)
    assert.ok(missing > guest.acknowledged, `${guest.name}: record ${missing} of ${guest.acknowledged} is not there`)
    run.log(`${guest.name}: ${guest.acknowledged + 1} records, killed ${guest.kills} times`)
  }
}

async function nothingIsStranded(run: Run, client: Client): Promise<void> {
  let orphans: unknown[] = []
  await until(
    'nothing belongs to nobody',
    run,
    async () => {
      const remains = await run.machine.remains()
      const objects = [machines, instances].map((ref) => client.list(ref, { namespace }))
      const owners = new Set(
        (await Promise.all(objects))
          .flatMap(({ items }) => items)
          .flatMap(({ metadata, status }) => [
            metadata.uid,
            `${metadata.namespace}/${metadata.name}`,
            status?.interfaces?.[0]?.ipAddress,
          ]),
      )
      orphans = remains.filter(({ owner }) => !owners.has(owner))
      return orphans.length === 0
    },
    () => JSON.stringify(orphans),
  )
}

async function until(
  what: string,
  run: Run,
  holds: () => Promise<boolean>,
  explain: () => string = () => '',
): Promise<void> {
  const end = Date.now() + settleMs
  while (!(await holds())) {
    if (run.failure) throw run.failure
    if (Date.now() > end) assert.fail(`not within ${settleMs / 1000} s: ${what} ${explain()}`)
    await sleep(250)
  }
}

async function main(): Promise<void> {
  const [minutes = 15, seed = Date.now() % 1_000_000, count = 20] = process.argv.slice(2).map(Number)
  console.log(`${minutes} minutes, seed ${seed}, ${count} machines`)
  const tandem = await startTandem({ images: ['minimal-vm'] })
  const log = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`)
  const report = await runChaos(tandem, { seconds: minutes * 60, seed, machines: count, log }).catch((error) => {
    console.error(
      `left for a look: ${tandem.stateDir} (end it with: ./tandem down --all --state-dir ${tandem.stateDir})`,
    )
    throw error
  })
  await tandem.close()
  const { tandemKills, machineKills, records } = report
  console.log(
    `Tandem killed ${tandemKills} times, QEMUs ${machineKills} times: ${records} acknowledged writes, all there; every machine as its run strategy has it; nothing left over`,
  )
}

if (import.meta.main) await main()
