// The API server over its durable store: creates, gets, lists and watch fan-out at 1, 16 and 64 clients, over TLS, beside
// a real kube-apiserver with etcd (KUBE_APISERVER and ETCD name the programs) and etcd alone (Debian's etcd-server), in
// the same run.
//
// node bench/api.ts [seconds per figure, default 3]

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Ask, chunksIn, createAsk } from './connection.ts'
import { heading, type LoadResult, load, row, summary } from './load.ts'
import { etcdKey, type Peer, residentMb, startEtcd, startKubernetes, startTandem, stopAll } from './peers.ts'

const seconds = Number(process.argv[2] ?? 3)
const clientCounts = [1, 16, 64]
const scratch = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
const peers: Peer[] = []

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

/** Resolves when the watch stands; each event is a line, over as many of HTTP's chunks as its server likes. */
function openWatch(
  { open, host }: Peer,
  resourceVersion: string,
  onName: (name: string) => void,
): Promise<{ destroy(): void }> {
  return new Promise((done, fail) => {
    const socket = open()
    let received: Buffer = Buffer.alloc(0)
    let stands = false
    let rest = ''
    socket.on('error', fail)
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      if (!stands) {
        const head = received.indexOf('\r\n\r\n')
        if (head < 0) return
        if (!received.toString('latin1', 0, head).startsWith('HTTP/1.1 200'))
          return fail(new Error(received.toString()))
        received = received.subarray(head + 4)
        stands = true
        done(socket)
      }
      const { parts, size } = chunksIn(received)
      received = received.subarray(size)
      const lines = (rest + Buffer.concat(parts).toString()).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines)
        onName((JSON.parse(line) as { object: { metadata: { name: string } } }).object.metadata.name)
    })
    socket.write(`GET ${maps}?watch=true&resourceVersion=${resourceVersion} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  })
}

type Request = (ask: Ask, index: number) => Promise<unknown>

async function started(peer: Promise<Peer | undefined>): Promise<Peer | undefined> {
  const there = await peer
  if (there) peers.push(there)
  return there
}

async function main(): Promise<void> {
  const tandem = (await started(startTandem(scratch, 17443)))!
  const kubernetes = await started(startKubernetes(scratch, 17543))
  const etcd = await started(startEtcd(scratch, 23790))
  await sleep(3_000)
  heading('', 'ready after ms', 'idle memory MB')
  row('Tandem', tandem.readyMs, residentMb(tandem))
  if (kubernetes) row('kube-apiserver and etcd', kubernetes.readyMs, residentMb(kubernetes))
  if (etcd) row('etcd alone, no TLS', etcd.readyMs, residentMb(etcd))
  console.log()
  heading(
    'request',
    'clients',
    'Tandem /s',
    'p50 ms',
    'p99 ms',
    'kube-apiserver /s',
    'p99 ms',
    'ratio',
    'p99 ratio',
    'etcd /s',
    'ratio',
  )
  const value = Buffer.from(JSON.stringify(configMap(0))).toString('base64')
  let next = 0
  const kinds: [name: string, ours: () => Request, etcds?: Request][] = [
    [
      'create',
      () => (ask) => ask('POST', maps, JSON.stringify(configMap(next++))),
      (ask) => ask('POST', '/v3/kv/put', JSON.stringify({ key: etcdKey(next++), value })),
    ],
    ['get', firstMade, (ask, index) => ask('POST', '/v3/kv/range', JSON.stringify({ key: etcdKey(index % 500) }))],
    ['list limit=500', () => (ask) => ask('GET', `${maps}?limit=500`)],
  ]
  for (const [name, ours, etcds] of kinds)
    for (const clients of clientCounts) {
      const mine = await loadOn(tandem, clients, ours())
      const theirs = kubernetes && (await loadOn(kubernetes, clients, ours()))
      line(name, clients, mine, theirs, etcd && etcds && (await loadOn(etcd, clients, etcds)))
    }
  console.log()
  heading('watchers', '', 'creates /s (16 clients)', 'events /s', 'POST→event p50 ms', 'p99 ms')
  for (const watchers of clientCounts)
    for (const [name, peer] of [
      ['Tandem', tandem],
      ['kube-apiserver', kubernetes],
    ] as const)
      if (peer) {
        const result = await fanOut(peer, watchers)
        row(watchers, name, result.count, result.perSecond, result.p50, result.p99)
      }
  console.log(
    `\nafter the load: ${peers.map((peer) => `${residentMb(peer)} MB`).join(', ')} (in the order of the first table)`,
  )
}

/** Names are drawn from one counter for all servers: each holds others of them. */
function firstMade(): Request {
  let names: Promise<string[]> | undefined
  return async (ask, index) => {
    names ??= ask('GET', `${maps}?limit=500`).then(namesIn)
    const known = await names
    return ask('GET', `${maps}/${known[index % known.length]}`)
  }
}

const namesIn = (text: string): string[] =>
  (JSON.parse(text) as { items: { metadata: { name: string } }[] }).items.map((item) => item.metadata.name)

const ratio = (a: number, b: number | undefined): string => (b ? (a / b).toFixed(2) : '–')

function line(name: string, clients: number, mine: LoadResult, theirs?: LoadResult, etcd?: LoadResult): void {
  row(
    ...[name, clients, mine.perSecond, mine.p50, mine.p99],
    ...[
      theirs?.perSecond ?? '–',
      theirs?.p99 ?? '–',
      ratio(mine.perSecond, theirs?.perSecond),
      ratio(mine.p99, theirs?.p99),
    ],
    ...[etcd?.perSecond ?? '–', ratio(mine.perSecond, etcd?.perSecond)],
  )
}

try {
  await main()
} finally {
  await stopAll()
  rmSync(scratch, { recursive: true, force: true })
}
process.exit(0)
