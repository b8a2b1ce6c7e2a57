// The API server over its durable store: creates, gets, lists and watch fan-out at 1, 16 and 64 clients, over TLS with a
// client certificate, beside etcd (Debian's etcd-server, when it is installed) as the durable peer in the same run.
//
// node bench/api.ts [seconds per figure, default 3]

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { accessFromKubeconfig } from '../src/client/kubeconfig.ts'
import { type Ask, createAsk } from './connection.ts'
import { heading, type LoadResult, load, row, summary } from './load.ts'

const home = resolve(import.meta.dirname, '..')
const seconds = Number(process.argv[2] ?? 3)
const clientCounts = [1, 16, 64]
const scratch = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
const children: ChildProcess[] = []

/** Who is measured: connections to it, and a first request that pays for the handshake. */
interface Peer {
  pid: number
  open(): Socket
  host: string
  warm: [method: string, path: string, body?: string]
}

/** `clients` connections, new ones: an idle one would be closed by its server before its turn comes. */
async function loadOn(
  peer: Peer,
  clients: number,
  request: (ask: Ask, index: number) => Promise<unknown>,
): Promise<LoadResult> {
  const sockets = Array.from({ length: clients }, () => peer.open().setNoDelay(true))
  const asks = sockets.map((socket) => createAsk(socket, peer.host))
  await Promise.all(asks.map((ask) => ask(...peer.warm)))
  const result = await load(clients, seconds * 1000, (client, index) => request(asks[client]!, index))
  for (const socket of sockets) socket.destroy()
  return result
}

async function startTandem(port: number): Promise<Peer> {
  const kubeconfig = join(scratch, 'kubeconfig')
  const child = spawn(
    process.execPath,
    [
      join(home, 'src/main.ts'),
      'dev',
      '--listen',
      `127.0.0.1:${port}`,
      '--store',
      join(scratch, 'store.db'),
      '--kubeconfig',
      kubeconfig,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  children.push(child)
  while (!existsSync(kubeconfig)) await sleep(20)
  const access = accessFromKubeconfig(readFileSync(kubeconfig, 'utf8'))
  const identity = { ca: access.ca, cert: access.clientCertificate, key: access.clientKey }
  const open = () => connectTls({ host: '127.0.0.1', port, ...identity })
  return { pid: child.pid!, open, host: `127.0.0.1:${port}`, warm: ['GET', '/version'] }
}

async function startEtcd(): Promise<Peer | undefined> {
  if (!existsSync('/usr/bin/etcd')) return undefined
  const child = spawn(
    '/usr/bin/etcd',
    [
      '--data-dir',
      join(scratch, 'etcd'),
      '--listen-client-urls',
      'http://127.0.0.1:23790',
      '--advertise-client-urls',
      'http://127.0.0.1:23790',
      '--listen-peer-urls',
      'http://127.0.0.1:23800',
      '--log-level',
      'error',
    ],
    { stdio: 'ignore' },
  )
  children.push(child)
  const peer: Peer = {
    pid: child.pid!,
    open: () => connectTcp(23790, '127.0.0.1'),
    host: '127.0.0.1:23790',
    warm: ['POST', '/v3/kv/range', JSON.stringify({ key: etcdKey(0) })],
  }
  for (let attempt = 0; attempt < 250; attempt++) {
    try {
      await createAsk(peer.open(), peer.host)(...peer.warm)
      break
    } catch {
      await sleep(40)
    }
  }
  return peer
}

const etcdKey = (index: number): string => Buffer.from(`/bench/${index}`).toString('base64')

const configMap = (index: number) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `bench-${index}`, namespace: 'default' },
  data: { payload: 'x'.repeat(256) },
})

const maps = '/api/v1/namespaces/default/configmaps'

/** Each of `watchers` reads the whole stream; latency is from the POST to the parsed event. */
async function fanOut(tandem: Peer, watchers: number): Promise<LoadResult & { events: number }> {
  const { metadata } = JSON.parse(await createAsk(tandem.open(), tandem.host)('GET', `${maps}?limit=1`)) as {
    metadata: { resourceVersion: string }
  }
  const sent = new Map<string, number>()
  const latencies: number[] = []
  const streams = await Promise.all(
    Array.from({ length: watchers }, () =>
      openWatch(tandem, metadata.resourceVersion, (name) => {
        const at = sent.get(name)
        if (at !== undefined) latencies.push(performance.now() - at)
      }),
    ),
  )
  const started = performance.now()
  const created = await loadOn(tandem, 16, async (ask, index) => {
    const name = `fan-${watchers}-${index}`
    sent.set(name, performance.now())
    await ask('POST', maps, JSON.stringify({ ...configMap(0), metadata: { name, namespace: 'default' } }))
  })
  while (latencies.length < created.count * watchers && performance.now() - started < seconds * 3000) await sleep(20)
  const elapsed = performance.now() - started
  for (const stream of streams) stream.destroy()
  return { ...summary(latencies, elapsed), count: created.perSecond, events: latencies.length }
}

/** Resolves when the watch stands; its events come as lines, between the lengths of HTTP's chunks. */
function openWatch(
  { open, host }: Peer,
  resourceVersion: string,
  onName: (name: string) => void,
): Promise<{ destroy(): void }> {
  return new Promise((done, fail) => {
    const socket = open()
    let rest = ''
    socket.setEncoding('utf8')
    socket.on('error', fail)
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line.startsWith('HTTP/1.1 200')) done(socket)
        if (line.startsWith('{'))
          onName((JSON.parse(line) as { object: { metadata: { name: string } } }).object.metadata.name)
      }
    })
    socket.write(`GET ${maps}?watch=true&resourceVersion=${resourceVersion} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  })
}

const residentMb = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024)

async function main(): Promise<void> {
  const tandem = await startTandem(17443)
  const etcd = await startEtcd()
  console.log(
    `\nidle memory: Tandem's API server ${residentMb(tandem.pid)} MB${etcd ? `, etcd alone ${residentMb(etcd.pid)} MB` : ''}\n`,
  )
  heading('request', 'clients', 'Tandem /s', 'p50 ms', 'p99 ms', 'etcd /s', 'ratio to etcd')
  const etcdValue = Buffer.from(JSON.stringify(configMap(0))).toString('base64')
  let next = 0
  for (const clients of clientCounts) {
    const mine = await loadOn(tandem, clients, (ask) => ask('POST', maps, JSON.stringify(configMap(next++))))
    const base = next
    const put = (index: number) => JSON.stringify({ key: etcdKey(base + index), value: etcdValue })
    const peer = etcd && (await loadOn(etcd, clients, (ask, index) => ask('POST', '/v3/kv/put', put(index))))
    line('create', clients, mine, peer)
  }
  for (const clients of clientCounts) {
    const mine = await loadOn(tandem, clients, (ask, index) => ask('GET', `${maps}/bench-${index % next}`))
    const range = (index: number) => JSON.stringify({ key: etcdKey(index % next) })
    const peer = etcd && (await loadOn(etcd, clients, (ask, index) => ask('POST', '/v3/kv/range', range(index))))
    line('get', clients, mine, peer)
  }
  for (const clients of clientCounts) {
    const mine = await loadOn(tandem, clients, (ask) => ask('GET', `${maps}?limit=500`))
    line(`list limit=500 of ${next}`, clients, mine, undefined)
  }
  console.log()
  heading('watchers', 'creates /s (16 clients)', 'events /s', 'POST→event p50 ms', 'p99 ms')
  for (const watchers of clientCounts) {
    const result = await fanOut(tandem, watchers)
    row(watchers, result.count, result.perSecond, result.p50, result.p99)
  }
  console.log(`\nafter the load: Tandem ${residentMb(tandem.pid)} MB${etcd ? `, etcd ${residentMb(etcd.pid)} MB` : ''}`)
}

function line(name: string, clients: number, mine: LoadResult, peer: LoadResult | undefined): void {
  row(
    name,
    clients,
    mine.perSecond,
    mine.p50,
    mine.p99,
    peer?.perSecond ?? '–',
    peer ? (mine.perSecond / peer.perSecond).toFixed(2) : '–',
  )
}

try {
  await main()
} finally {
  for (const child of children) child.kill()
  rmSync(scratch, { recursive: true, force: true })
}
process.exit(0)
