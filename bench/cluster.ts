// All of Tandem beside all of a one-node Kubernetes (root): time from nothing, and from the state of before, until a Pod can
// be placed; a Pod from its create to Running; idle memory. KUBERNETES_BIN is a folder with kube-apiserver,
// kube-controller-manager, kube-scheduler and kubelet; without it Tandem is measured alone. containerd is on both sides,
// and is counted on neither.
//
// sudo KUBERNETES_BIN=… node bench/cluster.ts [rounds, default 5]

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ResourceRef } from '../src/api/meta.ts'
import { type Client, createClient } from '../src/client/client.ts'
import { createHttpsTransport } from '../src/client/https.ts'
import { accessFromKubeconfig } from '../src/client/kubeconfig.ts'
import { instanceOf } from '../src/config.ts'
import { run } from '../src/host/exec.ts'
import { heading, median, row } from './load.ts'
import { oneNodeKubernetes } from './one-node-kubernetes.ts'
import { createPod, home, removePod } from './own-tandem.ts'

const rounds = Number(process.argv[2] ?? 5)
/** Long enough for what follows a start (leases, caches, garbage collection) to be over. */
const settleMs = 30_000
const nodes: ResourceRef = { group: '', version: 'v1', resource: 'nodes' }
const accounts: ResourceRef = { group: '', version: 'v1', resource: 'serviceaccounts' }
const images = ['tandem.dev/pause:1', 'tandem.dev/busybox:1']

interface Cluster {
  client(): Client
  /** Resolves when its programs have been started, or later. */
  start(): Promise<void> | void
  /** It gets the images, once. */
  provide(): Promise<void>
  stop(): Promise<void>
  pids(): Record<string, number>
}

interface Figures {
  fromNothingMs: number
  againMs: number
  podMs: number
  /** Proportional share of each program, in MB. */
  memory: Record<string, number>
}

/** The node is Ready, and a Pod would find its service account: it would be placed and run. */
async function takesPods(client: Client): Promise<boolean> {
  try {
    const { items } = await client.list(nodes, {})
    const ready = (items as any[]).some(({ status }) =>
      status?.conditions?.some((one: any) => one.type === 'Ready' && one.status === 'True'),
    )
    if (ready) await client.get(accounts, 'default', 'default')
    return ready
  } catch {
    return false
  }
}

async function started(cluster: Cluster): Promise<number> {
  const at = performance.now()
  await cluster.start()
  while (!(await takesPods(cluster.client()))) {
    if (performance.now() - at > 180_000) throw new Error('no node is Ready after three minutes')
    await sleep(20)
  }
  return performance.now() - at
}

async function podTimes(client: Client): Promise<number> {
  const times: number[] = []
  for (let round = 0; round <= rounds; round++) {
    const name = `bench-${round}`
    const spec = {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: images[1], command: ['sleep', '1000'] }],
    }
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default' }, spec }
    const { tookMs } = await createPod(client, pod, ({ status }) => status?.phase === 'Running', 60_000)
    // The first one warms caches and does not count.
    if (round > 0) times.push(tookMs)
    await removePod(client, name)
  }
  return median(times)
}

const memoryOf = (pids: Record<string, number>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => [
      name,
      Math.round(Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]) / 1024),
    ]),
  )

async function measure(cluster: Cluster): Promise<Figures> {
  const fromNothingMs = await started(cluster)
  await cluster.provide()
  await sleep(settleMs)
  const memory = memoryOf(cluster.pids())
  const podMs = await podTimes(cluster.client())
  await cluster.stop()
  return { fromNothingMs, memory, podMs, againMs: await started(cluster) }
}

/** @param archive where Tandem's images are left for the other one */
async function measureTandem(archive: string): Promise<Figures> {
  const stateDir = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
  const runDir = `/run/tandem-${instanceOf(stateDir)}`
  const tandem = (...argv: string[]) =>
    run([join(home, 'tandem'), ...argv, '--state-dir', stateDir], { timeoutMs: 900_000 })
  let connection: ReturnType<typeof createHttpsTransport> | undefined
  try {
    return await measure({
      client: () => createClient(connection!.transport),
      async start() {
        await tandem('up', '--listen', '127.0.0.1:17453')
        connection?.close()
        connection = createHttpsTransport(accessFromKubeconfig(readFileSync(join(stateDir, 'kubeconfig'), 'utf8')))
      },
      async provide() {
        await tandem('image', 'build', join(home, 'images/busybox'))
        const ctr = ['ctr', '--address', join(runDir, 'containerd.sock'), '--namespace', 'k8s.io']
        await run([...ctr, 'images', 'export', archive, ...images])
      },
      stop: async () => void (await tandem('down')),
      pids: () => ({ tandem: Number(readFileSync(join(runDir, 'tandem.pid'), 'utf8')) }),
    })
  } finally {
    connection?.close()
    await tandem('down', '--all').catch((error) => console.error(String(error)))
    rmSync(stateDir, { recursive: true, force: true })
  }
}

async function measureKubernetes(archive: string): Promise<Figures | string> {
  const kubernetes = oneNodeKubernetes(17463)
  if (typeof kubernetes === 'string') return kubernetes
  try {
    return await measure({
      ...kubernetes,
      client: () => kubernetes.client,
      provide: () => kubernetes.load(archive),
    })
  } finally {
    await kubernetes.close()
  }
}

const total = (memory: Record<string, number>): number => Object.values(memory).reduce((sum, one) => sum + one, 0)
const parts = (memory: Record<string, number>): string =>
  Object.entries(memory)
    .map(([name, mb]) => `${name} ${mb}`)
    .join(', ')

const scratch = mkdtempSync(join(tmpdir(), 'bench-images-'))
try {
  const archive = join(scratch, 'images.tar')
  const ours = await measureTandem(archive)
  const theirs = await measureKubernetes(archive)
  if (typeof theirs === 'string') console.log(`\nTandem alone: ${theirs}\n`)
  else console.log(`\nidle memory in MB, proportional shares: ${parts(ours.memory)}; ${parts(theirs.memory)}\n`)
  heading('what', 'Tandem', 'one-node Kubernetes', 'ratio')
  const line = (what: string, of: (figures: Figures) => number) => {
    const [mine, other] = [of(ours), typeof theirs === 'string' ? undefined : of(theirs)]
    row(what, Math.round(mine), other === undefined ? '–' : Math.round(other), other ? (mine / other).toFixed(2) : '–')
  }
  line('from nothing until a Pod can be placed, ms', ({ fromNothingMs }) => fromNothingMs)
  line('started again, with its state, ms', ({ againMs }) => againMs)
  line('Pod create → Running, median ms', ({ podMs }) => podMs)
  line('idle memory, MB', ({ memory }) => total(memory))
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
