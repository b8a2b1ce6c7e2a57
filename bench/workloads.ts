// Workloads on a real Tandem (root): time from `up` to ready, idle memory, Pod create → Running beside `ctr run`, VM
// create → guest userspace beside bare QEMU with the same disk. Absolute times are the machine's; the ratios are ours.
//
// sudo node bench/workloads.ts [rounds, default 5]

import { spawn } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, createClient } from '../src/client/client.ts'
import { createHttpsTransport } from '../src/client/https.ts'
import { accessFromKubeconfig } from '../src/client/kubeconfig.ts'
import { instanceOf } from '../src/config.ts'
import { run } from '../src/host/exec.ts'
import { rootDisk, smallGuest } from '../test/e2e/guest.fixture.ts'
import { heading, median, row } from './load.ts'

const home = resolve(import.meta.dirname, '..')
const rounds = Number(process.argv[2] ?? 5)
const stateDir = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
const runDir = `/run/tandem-${instanceOf(stateDir)}`
const pods = { group: '', version: 'v1', resource: 'pods' }
const machines = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' }
const busybox = 'tandem.dev/busybox:1'
const userspaceLine = 'tandem-minimal: userspace'

const tandem = (...argv: string[]) =>
  run([join(home, 'tandem'), ...argv, '--state-dir', stateDir], { timeoutMs: 300_000 })
const up = () => tandem('up', '--listen', '127.0.0.1:17444')

async function timed(action: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await action()
  return performance.now() - started
}

const repeated = async (action: (round: number) => Promise<number>): Promise<number[]> => {
  const times: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const time = await action(round)
    // The first round warms caches and does not count.
    if (round > 0) times.push(time)
  }
  return times
}

/** Time from the create to the first watch event in which `done` holds. */
async function untilWatched(
  client: Client,
  ref: typeof pods,
  object: any,
  done: (object: any) => boolean,
): Promise<number> {
  const ending = new AbortController()
  const watching = client.watch(ref, {
    namespace: 'default',
    fieldSelector: `metadata.name=${object.metadata.name}`,
    signal: ending.signal,
  })
  const started = performance.now()
  const created = client.create(ref, object)
  for await (const { object: seen } of watching) if (done(seen)) break
  const took = performance.now() - started
  await created
  ending.abort()
  return took
}

async function gone(client: Client, ref: typeof pods, name: string): Promise<void> {
  await client.delete(ref, name, 'default', { gracePeriodSeconds: 0 })
  while ((await client.list(ref, { namespace: 'default' })).items.length > 0) await sleep(20)
}

const pod = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default' },
  spec: {
    containers: [{ name: 'main', image: busybox, command: ['sleep', '1000'] }],
    automountServiceAccountToken: false,
  },
})

const machine = (name: string) => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  metadata: { name, namespace: 'default' },
  spec: {
    terminationGracePeriodSeconds: 0,
    ...smallGuest(rootDisk()),
  },
})

async function podTimes(client: Client) {
  const own = await repeated(async (round) => {
    const name = `pod-${round}`
    const time = await untilWatched(client, pods, pod(name), ({ status }) => status?.phase === 'Running')
    await gone(client, pods, name)
    return time
  })
  const ctr = ['ctr', '--address', join(runDir, 'containerd.sock'), '--namespace', 'k8s.io']
  const peer = await repeated((round) =>
    timed(() => run([...ctr, 'run', '--rm', busybox, `bench-${round}`, '/bin/true'])),
  )
  return { own, peer }
}

async function machineTimes(client: Client) {
  const own = await repeated(async (round) => {
    const name = `vm-${round}`
    const started = performance.now()
    const { metadata } = await client.create(machines, machine(name))
    const log = join(stateDir, 'machines', metadata.uid, 'serial.log')
    while (!(existsSync(log) && readFileSync(log, 'utf8').includes(userspaceLine))) await sleep(5)
    const time = performance.now() - started
    await gone(client, machines, name)
    return time
  })
  const [disk] = globSync(join(stateDir, 'images/**/disk.img'))
  const peer = await repeated(() => bareQemu(disk!))
  return { own, peer }
}

function bareQemu(disk: string): Promise<number> {
  const started = performance.now()
  const child = spawn(
    'qemu-system-x86_64',
    [
      '-nodefaults',
      '-no-user-config',
      '-M',
      'q35',
      '-accel',
      'tcg,thread=multi',
      '-cpu',
      'max',
      '-m',
      '128',
      '-display',
      'none',
      '-serial',
      'stdio',
      '-snapshot',
      '-drive',
      `file=${disk},format=${formatOf(disk)},if=virtio`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  return new Promise((done) => {
    let output = ''
    child.stdout.on('data', (chunk) => {
      output += chunk
      if (!output.includes(userspaceLine) || child.killed) return
      done(performance.now() - started)
      child.kill('SIGKILL')
    })
  })
}

const formatOf = (disk: string): string => (readFileSync(disk).subarray(0, 3).toString() === 'QFI' ? 'qcow2' : 'raw')

const residentMb = (): number => {
  const pid = readFileSync(join(runDir, 'tandem.pid'), 'utf8').trim()
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)
}

const show = (what: string, { own, peer }: { own: number[]; peer?: number[] }, peerName = '–'): void =>
  row(
    what,
    Math.round(median(own)),
    Math.round(Math.max(...own)),
    peerName,
    peer ? Math.round(median(peer)) : '–',
    peer ? (median(own) / median(peer)).toFixed(2) : '–',
  )

try {
  const first = await timed(up)
  for (const image of ['busybox', 'minimal-vm']) await tandem('image', 'build', join(home, 'images', image))
  const starts = await repeated(async () => {
    await tandem('down')
    return await timed(up)
  })
  const { transport, close } = createHttpsTransport(
    accessFromKubeconfig(readFileSync(join(stateDir, 'kubeconfig'), 'utf8')),
  )
  const client = createClient(transport)
  await sleep(3000)
  console.log(`\nidle memory of Tandem: ${residentMb()} MB resident; first start ${Math.round(first)} ms\n`)
  heading('what', 'median ms', 'max ms', 'peer', 'peer median ms', 'ratio')
  show('up → ready, containerd there (launcher included)', { own: starts })
  show('Pod create → Running', await podTimes(client), '`ctr run`, no network, no API')
  show('VM create → guest userspace', await machineTimes(client), 'bare QEMU, same disk')
  console.log(`\nafter the load: ${residentMb()} MB resident`)
  close()
} finally {
  await tandem('down', '--all').catch((error) => console.error(String(error)))
  rmSync(stateDir, { recursive: true, force: true })
}
