// Isolations side by side on a real Tandem (root): a Pod of each runtime class that is ready, beside `ctr run` and
// `podman run` of the same image. From the order to start until it runs and until its first HTTP answer, cold and warm,
// and what it takes of memory. Absolute times are the machine's; the ratios are ours.
//
// sudo node bench/isolation.ts [warm rounds, default 5] [runtime classes, separated by commas; default: all that are ready]
//
// cold: the first of its kind, after the kernel has dropped its caches of files. podman comes from Debian: where it is
// missing, its rows are left out and the command is told that installs it.

import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isolationsOf } from '../src/cli/compare/isolations.ts'
import { groupMemory, podMemory, sum } from '../src/cli/compare/pod-memory.ts'
import { run } from '../src/host/exec.ts'
import { type ContainerPeer, ctrPeers, podmanMissing, podmanPeers } from './container-peers.ts'
import { heading, median, row } from './load.ts'
import { createPod, type OwnTandem, removePod, startOwnTandem } from './own-tandem.ts'

const rounds = Number(process.argv[2] ?? 5)
const only = process.argv[3]?.split(',')
const image = 'tandem.dev/busybox:1'
/** On the machine's own network. */
const peerPort = 17480
const page = 'hello'

const serve = (port: number) => [
  'sh',
  '-c',
  `mkdir -p /tmp/www; echo ${page} > /tmp/www/index.html; exec httpd -f -p ${port} -h /tmp/www`,
]

interface Round {
  runningMs: number
  answerMs: number
  memoryMb: number
}

interface Result {
  name: string
  runtime: string
  cold: Round
  warm: Round[]
}

/** One after the other; the first is the cold one. */
async function measured(name: string, runtime: string, once: (turn: number) => Promise<Round>): Promise<Result> {
  await run(['sh', '-c', 'sync; echo 3 > /proc/sys/vm/drop_caches'], { timeoutMs: 120_000 })
  const cold = await once(0)
  const warm: Round[] = []
  for (let turn = 1; turn <= rounds; turn++) warm.push(await once(turn))
  return { name, runtime, cold, warm }
}

function ask(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ host, port, agent: false, timeout: 5_000 }, async (response) => {
      let body = ''
      for await (const chunk of response) body += chunk
      resolve(body)
    })
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', reject)
  })
}

async function untilAnswers(host: string, port: number): Promise<void> {
  for (const end = Date.now() + 120_000; Date.now() < end; await sleep(2))
    if ((await ask(host, port).catch(() => '')).trim() === page) return
  throw new Error(`no answer of http://${host}:${port}/`)
}

async function podRound({ client }: OwnTandem, runtimeClassName: string, turn: number): Promise<Round> {
  const name = `${runtimeClassName}-${turn}`
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: {
      runtimeClassName,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image, command: serve(80) }],
    },
  }
  const isRunning = ({ status }: any) => status?.phase === 'Running'
  const { pod: seen, started, tookMs } = await createPod(client, pod, isRunning)
  await untilAnswers(seen.status?.podIP, 80)
  const answerMs = performance.now() - started
  const memoryMb = sum(podMemory(seen)) / 1e6
  await removePod(client, name)
  return { runningMs: tookMs, answerMs, memoryMb }
}

async function peerRound(peer: ContainerPeer, turn: number): Promise<Round> {
  const id = `bench-isolation-${peer.runtime}-${turn}`
  const started = performance.now()
  const group = await peer.start(id, serve(peerPort))
  try {
    const runningMs = performance.now() - started
    await untilAnswers('127.0.0.1', peerPort)
    return { runningMs, answerMs: performance.now() - started, memoryMb: sum(groupMemory(group)) / 1e6 }
  } finally {
    await peer.remove(id)
  }
}

async function allPeers(tandem: OwnTandem, root: string): Promise<ContainerPeer[]> {
  const socket = join(tandem.runDir, 'containerd.sock')
  const peers = ctrPeers(socket, image)
  const missing = podmanMissing()
  if (missing) {
    console.log(`podman is left out, because it is not all there: ${missing}\n`)
    return peers
  }
  const archive = join(root, 'image.tar')
  await run(['ctr', '--address', socket, '--namespace', 'k8s.io', 'image', 'export', archive, image])
  return [...peers, ...(await podmanPeers(root, archive, image))]
}

/** Failures of one are told in its row; the others go on. */
async function collect(results: Result[], name: string, runtime: string, once: (turn: number) => Promise<Round>) {
  try {
    results.push(await measured(name, runtime, once))
    console.error(`${name}: done`)
  } catch (error) {
    console.log(`${name} could not be measured: ${(error as Error).message.trim()}`)
  }
}

function show(results: Result[]): void {
  const of = (part: keyof Round, { warm }: Result) => median(warm.map((one) => one[part]))
  const whole = (value: number) => Math.round(value)
  const peerOf = (program: string, runtime: string) =>
    results.find((result) => result.name.startsWith(`\`${program}`) && result.runtime === runtime)
  const ratio = (result: Result, program: string, runtime: string) => {
    const peer = peerOf(program, runtime)
    return peer && peer !== result ? (of('answerMs', result) / of('answerMs', peer)).toFixed(2) : '–'
  }
  heading(
    ...['what', 'runs, cold ms', 'runs, warm ms', 'answers HTTP, cold ms', 'warm ms', 'memory MB'],
    ...['warm ÷ `ctr run` runc', '÷ `podman run` runc', '÷ `ctr run` runsc', '÷ `podman run` runsc'],
  )
  for (const result of results) {
    const { name, cold } = result
    const times = [cold.runningMs, of('runningMs', result), cold.answerMs, of('answerMs', result)].map(whole)
    const ratios = ['runc', 'runsc'].flatMap((runtime) =>
      ['ctr run', 'podman run'].map((program) => ratio(result, program, runtime)),
    )
    row(name, ...times, of('memoryMb', result), ...ratios)
  }
}

const root = mkdtempSync(join(tmpdir(), 'tandem-bench-peers-'))
const tandem = await startOwnTandem(17446, ['busybox'])
try {
  const { items } = await tandem.client.list({ group: 'node.k8s.io', version: 'v1', resource: 'runtimeclasses' })
  const { isolations, notReady } = isolationsOf(items, only)
  for (const { name, reason } of notReady) console.error(`${name} is not ready: ${reason}`)
  const results: Result[] = []
  for (const { name, handler, fetches } of isolations) {
    // What comes from Debian's mirrors is there before anything is measured.
    if (fetches) await podRound(tandem, name, rounds + 1).catch(() => {})
    await collect(results, `Pod, ${name}`, handler, (turn) => podRound(tandem, name, turn))
  }
  for (const peer of await allPeers(tandem, root))
    await collect(results, peer.name, peer.runtime, (turn) => peerRound(peer, turn))
  console.log()
  show(results)
} finally {
  await tandem.close()
  rmSync(root, { recursive: true, force: true })
}
