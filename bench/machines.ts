// Virtual machines on a real Tandem (root) beside libvirt with the same guest, and starts from a saved state beside a
// container: cold starts, memory, a burst, resume from disk, the pause of a local migration. Ratios of one run.
//
// sudo node bench/machines.ts [rounds, default 5] [machines of the burst, default 50] [of the memory's row, default 5]

import { chmodSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, createClient } from '../src/client/client.ts'
import { createHttpsTransport } from '../src/client/https.ts'
import { accessFromKubeconfig } from '../src/client/kubeconfig.ts'
import { instanceOf } from '../src/config.ts'
import { run } from '../src/host/exec.ts'
import { machineFiles } from '../src/host/machines/plan.ts'
import { openQmp, type QmpEvent } from '../src/host/machines/qmp.ts'
import { agentImage, writeAgentRecipe } from './agent-vm.ts'
import { type Domain, type Libvirt, missing, proportionalKb, startLibvirt } from './libvirt.ts'
import { heading, median, quantile, row } from './load.ts'

const home = resolve(import.meta.dirname, '..')
const rounds = Number(process.argv[2] ?? 5)
const burst = Number(process.argv[3] ?? 50)
const measuredMachines = Number(process.argv[4] ?? 5)
const limitS = 600
const root = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
// libvirt's guests have to find their disks below it.
chmodSync(root, 0o755)
const stateDir = join(root, 'state')
const guestMiB = 128
const userspaceLine = 'tandem-minimal: userspace'
const readyLine = 'tandem-minimal: ready'

const kubevirt = (resource: string) => ({ group: 'kubevirt.io', version: 'v1', resource })
const machines = kubevirt('virtualmachines')
const instances = kubevirt('virtualmachineinstances')
const migrations = kubevirt('virtualmachineinstancemigrations')
const snapshots = { group: 'snapshot.kubevirt.io', version: 'v1beta1', resource: 'virtualmachinesnapshots' }
const events = { group: '', version: 'v1', resource: 'events' }
const space = 'default'

const tandem = (...argv: string[]) =>
  run([join(home, 'tandem'), ...argv, '--state-dir', stateDir], { timeoutMs: 900_000 })

/** @throws Error after ten minutes: beside other work a guest is slow */
async function until<T>(what: string, look: () => T | undefined | false | Promise<T | undefined | false>): Promise<T> {
  for (const end = Date.now() + limitS * 1000; ; await sleep(5)) {
    const found = await look()
    if (found) return found
    if (Date.now() > end) throw new Error(`not within ${limitS} s: ${what}`)
  }
}

const minimalImage = 'tandem.dev/minimal-vm:1'

const template = (memoryMiB: number, image: string) => ({
  spec: {
    terminationGracePeriodSeconds: 0,
    domain: {
      memory: { guest: `${memoryMiB}Mi` },
      devices: {
        disks: [{ name: 'root', disk: { bus: 'virtio' } }],
        interfaces: [{ name: 'default', masquerade: {} }],
      },
    },
    networks: [{ name: 'default', pod: {} }],
    volumes: [{ name: 'root', containerDisk: { image } }],
  },
})

const machine = (name: string, memoryMiB: number, image = minimalImage, annotations = {}) => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name, namespace: space, annotations },
  spec: { runStrategy: 'Always', template: template(memoryMiB, image) },
})

const instance = (name: string) => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  metadata: { name, namespace: space },
  spec: template(guestMiB, minimalImage).spec,
})

const says = (log: string, line: string): boolean => existsSync(log) && readFileSync(log, 'utf8').includes(line)
const directoryOf = (uid: string): string => join(stateDir, 'machines', uid)
const pidOf = (uid: string): number =>
  JSON.parse(readFileSync(join(directoryOf(uid), 'machine.json'), 'utf8')).process.pid

const findInstance = (client: Client, name: string) => client.get(instances, name, space).catch(() => undefined)

async function remove(client: Client, ref: typeof machines, name: string): Promise<void> {
  await client.delete(ref, name, space)
  await until(`${name} is gone`, async () => !(await findInstance(client, name)))
}

/** The first round warms caches and does not count. */
async function repeated(action: (round: number) => Promise<number>): Promise<number[]> {
  const times: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const time = await action(round)
    if (round > 0) times.push(time)
  }
  return times
}

const coldStarts = (client: Client): Promise<number[]> =>
  repeated(async (round) => {
    const name = `cold-${round}`
    const began = performance.now()
    const { metadata } = await client.create(instances, instance(name))
    const log = join(directoryOf(metadata.uid), 'serial.log')
    await until('userspace', () => says(log, userspaceLine))
    const took = performance.now() - began
    await remove(client, instances, name)
    return took
  })

const libvirtStarts = (libvirt: Libvirt): Promise<number[]> =>
  repeated(async (round) => {
    const domain = await libvirt.define(`tandem-bench-${round}`)
    const began = performance.now()
    await domain.start()
    await until('userspace', () => says(domain.log, userspaceLine))
    const took = performance.now() - began
    await domain.destroy()
    return took
  })

const containerStarts = (): Promise<number[]> => {
  const socket = join(`/run/tandem-${instanceOf(stateDir)}`, 'containerd.sock')
  const ctr = ['ctr', '--address', socket, '--namespace', 'k8s.io', 'run', '--rm', 'tandem.dev/busybox:1']
  return repeated(async (round) => {
    const began = performance.now()
    await run([...ctr, `bench-${round}`, '/bin/true'])
    return performance.now() - began
  })
}

/** When the guest goes on, by QEMU's clock: asked over its second QMP, which Tandem leaves alone meanwhile. */
async function goesOn(client: Client, name: string): Promise<number> {
  const { metadata } = await until(`${name} has an instance`, () => findInstance(client, name))
  let resumed: number | undefined
  let closed = true
  const handlers = {
    onEvent({ event, timestamp }: QmpEvent) {
      if (event === 'RESUME' && timestamp) resumed = timestamp.seconds * 1000 + timestamp.microseconds / 1000
    },
    onClose() {
      closed = true
    },
  }
  const socket = join(directoryOf(metadata.uid), machineFiles.handover)
  const connect = async () => {
    closed = false
    const qmp = await openQmp(socket, handlers).catch(handlers.onClose)
    const status = await qmp?.execute('query-status').catch(() => undefined)
    if (status?.status === 'running') resumed ??= Date.now()
    return qmp
  }
  let qmp: Awaited<ReturnType<typeof connect>> | undefined
  // The first copy has a QEMU before its own, which prepares what all of them start from.
  const time = await until('the guest goes on', async () => {
    if (closed) qmp = await connect()
    return resumed
  })
  qmp?.close()
  return time
}

/** `runs`: until its guest goes on; `known`: until that has a name, addresses and random numbers of its own. */
async function copies(client: Client): Promise<{ runs: number[]; known: number[] }> {
  const original = 'original'
  await client.create(machines, machine(original, guestMiB, agentImage, { 'tandem.dev/template': 'true' }))
  await until('the template is saved', async () => {
    const found = await client.get(snapshots, original, space).catch(() => undefined)
    return found?.status?.readyToUse === true
  })
  await until('the original is off', async () => !(await findInstance(client, original)))
  const runs: number[] = []
  const known = await repeated(async (round) => {
    const name = `copy-${round}`
    const began = Date.now()
    await client.create(machines, machine(name, guestMiB, agentImage, { 'tandem.dev/start-from': original }))
    const wentOn = goesOn(client, name)
    await until('it runs', async () => (await findInstance(client, name))?.status?.phase === 'Running')
    const took = Date.now() - began
    if (round > 0) runs.push((await wentOn) - began)
    else await wentOn
    await remove(client, machines, name)
    return took
  })
  await client.delete(machines, original, space)
  return { runs, known }
}

async function started(client: Client, name: string, memoryMiB: number): Promise<string> {
  await client.create(machines, machine(name, memoryMiB))
  const found = await until(`${name} has an instance`, () => findInstance(client, name))
  const { uid } = found.metadata
  await until(`${name} is ready`, () => says(join(directoryOf(uid), 'serial.log'), readyLine))
  return uid
}

async function resumes(client: Client, memoryMiB: number): Promise<number[]> {
  const name = 'sleeper'
  await started(client, name, memoryMiB)
  const strategy = (runStrategy: string) => client.patch(machines, name, space, 'merge', { spec: { runStrategy } })
  const times = await repeated(async () => {
    await strategy('Hibernated')
    const printed = async () => (await client.get(machines, name, space)).status?.printableStatus
    await until('it is hibernated', async () => (await printed()) === 'Hibernated')
    const began = performance.now()
    await strategy('Always')
    await until('it goes on', async () => (await findInstance(client, name))?.status?.phase === 'Running')
    return performance.now() - began
  })
  await remove(client, machines, name)
  return times
}

/** As QEMU's clocks of the two processes say: from the stop of the one to the start of the other. */
async function pauses(client: Client, memoryMiB: number): Promise<{ pauses: number[]; whole: number[] }> {
  const name = 'mover'
  await started(client, name, memoryMiB)
  const seen: number[] = []
  const whole = await repeated(async (round) => {
    const began = performance.now()
    await client.create(migrations, {
      apiVersion: 'kubevirt.io/v1',
      kind: 'VirtualMachineInstanceMigration',
      metadata: { name: `move-${round}`, namespace: space },
      spec: { vmiName: name },
    })
    const { status } = await until('it has moved', async () => {
      const found = await client.get(migrations, `move-${round}`, space)
      return ['Succeeded', 'Failed'].includes(found.status?.phase) && found
    })
    if (status.phase === 'Failed') throw new Error(`migration: ${status.migrationState?.failureReason}`)
    return performance.now() - began
  })
  await until('every pause is told', async () => {
    seen.length = 0
    for (const { reason, message, count = 1 } of (await client.list(events, { namespace: space })).items as any[])
      if (reason === 'MigrationPause')
        for (let times = 0; times < count; times++) seen.push(Number(/for ([\d.]+) ms/.exec(message)?.[1]))
    return seen.length > rounds
  })
  await remove(client, machines, name)
  return { pauses: seen, whole }
}

/** What a QEMU has beside the memory of its guest, in KiB: shared pages count in parts. */
function besideGuest(pid: number): number {
  const mappings = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  const field = (text: string, name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
  return mappings
    .filter((mapping) => field(mapping, 'Size') !== guestMiB * 1024)
    .reduce((sum, mapping) => sum + field(mapping, 'Pss'), 0)
}

const tandemKb = (): number =>
  proportionalKb(Number(readFileSync(`/run/tandem-${instanceOf(stateDir)}/tandem.pid`, 'utf8').trim()))

/** KiB for each machine: its QEMU, its helpers, and what the daemon has grown by. */
async function memoryOfTandem(client: Client, count: number): Promise<number> {
  const before = tandemKb()
  const names = Array.from({ length: count }, (_, index) => `memory-${index}`)
  const uids = await Promise.all(
    names.map(async (name) => (await client.create(instances, instance(name))).metadata.uid),
  )
  for (const uid of uids) await until('ready', () => says(join(directoryOf(uid), 'serial.log'), readyLine))
  const qemus = uids.reduce((sum, uid) => sum + besideGuest(pidOf(uid)), 0)
  const dhcp = globSync(join(`/run/tandem-${instanceOf(stateDir)}`, '**/*.pid'))
    .filter((path) => uids.some((uid) => path.includes(uid)))
    .reduce((sum, path) => sum + proportionalKb(Number(readFileSync(path, 'utf8').trim())), 0)
  const grown = Math.max(0, tandemKb() - before)
  for (const name of names) await remove(client, instances, name)
  return (qemus + dhcp + grown) / count
}

async function memoryOfLibvirt(libvirt: Libvirt, count: number): Promise<number> {
  const before = libvirt.daemonsKb()
  const domains: Domain[] = []
  for (let index = 0; index < count; index++) domains.push(await libvirt.define(`tandem-bench-m${index}`))
  await Promise.all(domains.map((domain) => domain.start()))
  for (const { log } of domains) await until('ready', () => says(log, readyLine))
  const qemus = domains.reduce((sum, domain) => sum + besideGuest(domain.pid()), 0)
  const grown = Math.max(0, libvirt.daemonsKb() - before)
  for (const domain of domains) await domain.destroy()
  return (qemus + grown) / count
}

/** Times from the first create to the userspace of each. */
async function startMany(client: Client): Promise<number[]> {
  const names = Array.from({ length: burst }, (_, index) => `burst-${index}`)
  const began = performance.now()
  const left = new Map<string, string>()
  await Promise.all(
    names.map(async (name) => {
      const { metadata } = await client.create(instances, instance(name))
      left.set(metadata.uid, join(directoryOf(metadata.uid), 'serial.log'))
    }),
  )
  const times: number[] = []
  for (const end = Date.now() + 600_000; left.size > 0; await sleep(50)) {
    for (const [uid, log] of left)
      if (says(log, userspaceLine)) {
        times.push(performance.now() - began)
        left.delete(uid)
      }
    if (Date.now() > end) throw new Error(`${left.size} of ${burst} machines did not start within ten minutes`)
  }
  for (const name of names) await client.delete(instances, name, space)
  await until('all are gone', async () => !(await client.list(instances, { namespace: space })).items.length)
  return times
}

const round = (value: number) => (value < 100 ? value.toFixed(1) : Math.round(value))

function show(what: string, own: number[], peerName = '–', peer?: number[]): void {
  const ratio = peer ? (median(own) / median(peer)).toFixed(2) : '–'
  row(what, round(median(own)), round(Math.max(...own)), peerName, peer ? round(median(peer)) : '–', ratio)
}

/** One that fails does not keep the others from being measured. */
async function measured(what: string, work: () => Promise<void>): Promise<void> {
  await work().catch((error) => row(what, `failed: ${(error as Error).message}`, '–', '–', '–', '–'))
}

async function measureAll(client: Client, libvirt: Libvirt | undefined): Promise<void> {
  heading('what', 'median', 'max', 'peer', 'peer median', 'ratio')
  await measured('cold start → guest userspace, ms', async () => {
    const peer = libvirt && (await libvirtStarts(libvirt))
    show('cold start → guest userspace, ms', await coldStarts(client), '`virsh start`', peer)
  })
  const containers = await containerStarts()
  await measured('copy of a booted VM, ms', async () => {
    const { runs, known } = await copies(client)
    show('copy of a booted VM → its guest runs, ms', runs, '`ctr run`', containers)
    show('copy of a booted VM → it knows who it is, ms', known, '`ctr run`', containers)
  })
  await measured('memory per VM beside its guest, MiB', async () => {
    const peer = libvirt && [(await memoryOfLibvirt(libvirt, measuredMachines)) / 1024]
    show(
      'memory per VM beside its guest, MiB',
      [(await memoryOfTandem(client, measuredMachines)) / 1024],
      'libvirt',
      peer,
    )
  })
  await measured('resume from disk, 512 MiB → Running, ms', async () =>
    show('resume from disk, 512 MiB → Running, ms', await resumes(client, 512)),
  )
  await measured('local migration, 512 MiB', async () => {
    const moved = await pauses(client, 512)
    show('pause of a local migration, 512 MiB, ms', moved.pauses)
    show('local migration from create to Succeeded, ms', moved.whole)
  })
  await measured(`${burst} VMs at once`, async () => {
    const times = (await startMany(client)).sort((a, b) => a - b)
    const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)].map((ms) => (ms / 1000).toFixed(1))
    row(`${burst} VMs at once → guest userspace, s`, `p50 ${p50}`, `p99 ${p99}`, '–', '–', '–')
  })
}

let libvirt: Libvirt | undefined
async function end(): Promise<void> {
  await libvirt?.close().catch((error) => console.error(String(error)))
  await tandem('down', '--all').catch((error) => console.error(String(error)))
  rmSync(root, { recursive: true, force: true })
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end().finally(() => process.exit(1)))
try {
  await tandem('up', '--listen', '127.0.0.1:17445')
  const recipe = join(root, 'agent-vm')
  writeAgentRecipe(home, recipe)
  for (const image of ['busybox', 'minimal-vm']) await tandem('image', 'build', join(home, 'images', image))
  await tandem('image', 'build', recipe)
  const { transport, close } = createHttpsTransport(
    accessFromKubeconfig(readFileSync(join(stateDir, 'kubeconfig'), 'utf8')),
  )
  const client = createClient(transport)
  // The image is unpacked with the first machine of it.
  const accelerator = await coldOnce(client)
  const lacking = missing()
  if (lacking) console.log(`\n${lacking}`)
  else
    libvirt = await startLibvirt(join(root, 'libvirt'), { disk: containerDisk(), accelerator }).catch((error) => {
      console.log(`\nlibvirt is not measured: ${(error as Error).message}`)
      return undefined
    })
  console.log('')
  await measureAll(client, libvirt)
  close()
} finally {
  await end()
}

/** What Tandem proved to be usable here is what libvirt is told to use. */
async function coldOnce(client: Client): Promise<'kvm' | 'tcg'> {
  await client.create(instances, instance('first'))
  const { status } = await until('it runs', async () => {
    const found = await findInstance(client, 'first')
    return found?.status?.phase === 'Running' && found
  })
  await remove(client, instances, 'first')
  return status.conditions.some((one: any) => one.type === 'SoftwareEmulation' && one.status === 'True') ? 'tcg' : 'kvm'
}

function containerDisk(): { path: string; format: string } {
  const [path] = globSync(join(stateDir, 'images/**/disk.img'))
  if (!path) throw new Error('the disk of the image is not where it was')
  const isQcow2 = readFileSync(path).subarray(0, 3).toString() === 'QFI'
  return { path, format: isQcow2 ? 'qcow2' : 'raw' }
}
