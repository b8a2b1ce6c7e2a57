// How many Pods one machine holds (root): N of them from one Deployment until all are Ready, then, while they run, the time
// of `kubectl get pods`, the latency of the API, what the idle Pods cost of processors, and memory.
//
// sudo node bench/density.ts [Pods, default 100] [runtime class, default runc]

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, freemem, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { ResourceRef } from '../src/api/meta.ts'
import { podMemory, processes, sum } from '../src/cli/compare/pod-memory.ts'
import { run } from '../src/host/exec.ts'
import { createAsk } from './connection.ts'
import { heading, load, median, row } from './load.ts'
import { home, type OwnTandem, podsRef, startOwnTandem } from './own-tandem.ts'

const count = Number(process.argv[2] ?? 100)
const runtimeClassName = process.argv[3] ?? 'runc'
const port = 17447
const clients = 4
const loadMs = 15_000
const idleMs = 60_000
/** A minute, and a few seconds for each. */
const limitMs = 60_000 + count * 3_000
const deployments: ResourceRef = { group: 'apps', version: 'v1', resource: 'deployments' }
const maps = '/api/v1/namespaces/default/configmaps'

const script = 'mkdir -p /tmp/www; echo hello > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www'

const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'dense', namespace: 'default' },
  spec: {
    replicas: count,
    progressDeadlineSeconds: Math.ceil(limitMs / 1000),
    selector: { matchLabels: { app: 'dense' } },
    template: {
      metadata: { labels: { app: 'dense' } },
      spec: {
        runtimeClassName,
        terminationGracePeriodSeconds: 0,
        containers: [
          {
            name: 'main',
            image: 'tandem.dev/busybox:1',
            command: ['sh', '-c', script],
            readinessProbe: { httpGet: { path: '/', port: 80 }, periodSeconds: 10, timeoutSeconds: 5 },
          },
        ],
      },
    },
  },
}

async function untilAllReady({ client }: OwnTandem): Promise<number> {
  const started = performance.now()
  await client.create(deployments, deployment)
  for (let told = 0; ; await sleep(250)) {
    const { status } = await client.get(deployments, 'dense', 'default')
    const ready = status?.readyReplicas ?? 0
    const tookMs = performance.now() - started
    if (ready >= told + 50) {
      told = ready
      console.error(`${ready} are Ready after ${(tookMs / 1000).toFixed(1)} s`)
    }
    if (ready >= count) return tookMs
    if (tookMs > limitMs) throw new Error(`only ${ready} of ${count} are Ready after ${limitMs / 1000} s`)
  }
}

const kubectl = execFileSync(join(home, 'scripts/kubectl-of'), ['trixie'], { encoding: 'utf8' }).trim()

/** The whole command, as a person waits for it. */
async function kubectlTimes(kubeconfig: string): Promise<number[]> {
  const times: number[] = []
  for (let turn = 0; turn < 6; turn++) {
    const started = performance.now()
    const { stdout } = await run([kubectl, '--kubeconfig', kubeconfig, 'get', 'pods', '--no-headers'])
    // The first one asks what the server serves, and keeps it.
    if (turn > 0) times.push(performance.now() - started)
    const lines = stdout.trim().split('\n').length
    if (lines < count) throw new Error(`kubectl get pods shows ${lines} Pods of ${count}`)
  }
  return times
}

/** Reads and durable writes of single objects, and short lists, in turn. */
async function apiLatency({ access, client }: OwnTandem) {
  const { items } = await client.list(podsRef, { namespace: 'default', limit: count })
  const connections = Array.from({ length: clients }, () =>
    createAsk(
      connectTls({ host: '127.0.0.1', port, ca: access.ca, cert: access.clientCertificate, key: access.clientKey }),
      `127.0.0.1:${port}`,
    ),
  )
  const requests = (index: number): [method: string, path: string, body?: string] => {
    if (index % 4 === 0) return ['POST', maps, JSON.stringify({ metadata: { name: `c-${index}` }, data: { a: 'b' } })]
    if (index % 4 === 1) return ['GET', '/api/v1/namespaces/default/pods?limit=20']
    return ['GET', `/api/v1/namespaces/default/pods/${items[index % items.length]!.metadata.name}`]
  }
  return await load(clients, loadMs, (number, index) => connections[number]!(...requests(index)))
}

/** Seconds of processor time that a process and those it has waited for took so far. */
function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((total, ticks) => total + Number(ticks), 0) / 100
}

/** Parts of one processor, while nobody asks for anything. */
async function idleCost(pids: Record<string, number[]>): Promise<Record<string, number>> {
  const look = () =>
    Object.entries(pids).map(([, list]) =>
      list.reduce((total, pid) => {
        try {
          return total + processorSeconds(pid)
        } catch {
          return total
        }
      }, 0),
    )
  const before = look()
  await sleep(idleMs)
  const after = look()
  return Object.fromEntries(Object.keys(pids).map((name, at) => [name, (after[at]! - before[at]!) / (idleMs / 1000)]))
}

const residentMb = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`

console.error(`${cpus().length} processors, ${gigabytes(totalmem())}, ${gigabytes(freemem())} free`)
const tandem = await startOwnTandem(port, ['busybox'], { TANDEM_MAX_PODS: `${count + 50}` })
try {
  const allReadyMs = await untilAllReady(tandem)
  const containerd = Number(readFileSync(join(tandem.runDir, 'containerd.pid'), 'utf8'))
  const { items } = await tandem.client.list(podsRef, { namespace: 'default' })
  const all = processes()
  const memory = items.slice(0, 20).map((pod) => sum(podMemory(pod, all)) / 1e6)
  const shims = all.filter(({ name }) => name.startsWith('containerd-shim')).map(({ pid }) => pid)
  await sleep(10_000)
  const idle = await idleCost({ Tandem: [tandem.pid], containerd: [containerd], shims })
  const kubectlMs = await kubectlTimes(tandem.kubeconfig)
  const api = await apiLatency(tandem)
  heading('Pods', 'all Ready after s', '`kubectl get pods` median ms', 'max ms', 'API /s', 'p50 ms', 'p99 ms')
  row(
    ...[count, (allReadyMs / 1000).toFixed(1), Math.round(median(kubectlMs)), Math.round(Math.max(...kubectlMs))],
    ...[api.perSecond, api.p50, api.p99],
  )
  console.log()
  heading('memory of a Pod MB', 'Tandem MB', 'containerd MB', ...Object.keys(idle).map((name) => `idle: ${name} CPU`))
  row(
    ...[median(memory), residentMb(tandem.pid), residentMb(containerd)],
    ...Object.values(idle).map((part) => `${(part * 100).toFixed(1)} %`),
  )
} finally {
  await tandem.close()
}
