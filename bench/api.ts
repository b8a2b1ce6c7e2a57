// The API server over its durable store: creates, gets, lists and watch fan-out at 1, 16 and 64 clients, over TLS with a
// client certificate, beside etcd (Debian's etcd-server, when it is installed) as the durable peer in the same run.
//
// node bench/api.ts [seconds per figure, default 3]

import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { accessFromKubeconfig } from '../src/client/kubeconfig.ts'
import { heading, type LoadResult, load, row, summary } from './load.ts'

const home = resolve(import.meta.dirname, '..')
const seconds = Number(process.argv[2] ?? 3)
const clientCounts = [1, 16, 64]
const scratch = mkdtempSync(join(tmpdir(), 'tandem-bench-'))
const children: ChildProcess[] = []

interface Peer {
  create(index: number): Promise<void>
  get(index: number): Promise<void>
  close(): void
}

async function startTandem(port: number) {
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
  const agent = new Agent({ keepAlive: true, ca: access.ca, cert: access.clientCertificate, key: access.clientKey })
  const call = (method: string, path: string, body?: string): Promise<string> =>
    new Promise((done, fail) => {
      const outgoing = httpsRequest(
        `${access.server}${path}`,
        {
          agent,
          method,
          headers: body ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } : {},
        },
        (answer) => {
          const chunks: Buffer[] = []
          answer.on('data', (chunk) => chunks.push(chunk))
          answer.on('end', () => {
            const text = Buffer.concat(chunks).toString()
            if (answer.statusCode! < 300) done(text)
            else fail(new Error(`${method} ${path}: ${answer.statusCode} ${text.slice(0, 200)}`))
          })
          answer.on('error', fail)
        },
      )
      outgoing.on('error', fail)
      outgoing.end(body)
    })
  return { pid: child.pid!, agent, access, call }
}

async function startEtcd(): Promise<(Peer & { pid: number }) | undefined> {
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
  const agent = new HttpAgent({ keepAlive: true })
  const call = (path: string, body: object): Promise<void> =>
    new Promise((done, fail) => {
      const outgoing = httpRequest(`http://127.0.0.1:23790${path}`, { agent, method: 'POST' }, (answer) => {
        answer.resume()
        answer.on('end', () => (answer.statusCode === 200 ? done() : fail(new Error(`etcd ${answer.statusCode}`))))
      })
      outgoing.on('error', fail)
      outgoing.end(JSON.stringify(body))
    })
  const key = (index: number) => Buffer.from(`/bench/${index}`).toString('base64')
  const value = Buffer.from(JSON.stringify(configMap(0))).toString('base64')
  for (let attempt = 0; attempt < 250; attempt++) {
    try {
      await call('/v3/kv/range', { key: key(0) })
      break
    } catch {
      await sleep(40)
    }
  }
  return {
    pid: child.pid!,
    create: (index) => call('/v3/kv/put', { key: key(index), value }),
    get: (index) => call('/v3/kv/range', { key: key(index) }),
    close: () => agent.destroy(),
  }
}

const configMap = (index: number) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `bench-${index}`, namespace: 'default' },
  data: { payload: 'x'.repeat(256) },
})

const maps = '/api/v1/namespaces/default/configmaps'

/** Each of `watchers` reads the whole stream; latency is from the POST to the parsed event. */
async function fanOut(
  tandem: Awaited<ReturnType<typeof startTandem>>,
  watchers: number,
): Promise<LoadResult & { events: number }> {
  const { metadata } = JSON.parse(await tandem.call('GET', `${maps}?limit=1`)) as {
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
  const created = await load(16, seconds * 1000, async (_client, index) => {
    const name = `fan-${watchers}-${index}`
    sent.set(name, performance.now())
    await tandem.call('POST', maps, JSON.stringify({ ...configMap(0), metadata: { name, namespace: 'default' } }))
  })
  while (latencies.length < created.count * watchers && performance.now() - started < seconds * 3000) await sleep(20)
  const elapsed = performance.now() - started
  for (const stream of streams) stream.destroy()
  return { ...summary(latencies, elapsed), count: created.perSecond, events: latencies.length }
}

function openWatch(
  { access, agent }: Awaited<ReturnType<typeof startTandem>>,
  resourceVersion: string,
  onName: (name: string) => void,
): Promise<{ destroy(): void }> {
  return new Promise((done, fail) => {
    const url = `${access.server}${maps}?watch=true&resourceVersion=${resourceVersion}`
    const outgoing = httpsRequest(url, { agent: new Agent({ ...agent.options, keepAlive: false }) }, (answer) => {
      let rest = ''
      answer.setEncoding('utf8')
      answer.on('error', () => {})
      answer.on('data', (text: string) => {
        const lines = (rest + text).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines)
          onName((JSON.parse(line) as { object: { metadata: { name: string } } }).object.metadata.name)
      })
      done(outgoing)
    })
    outgoing.on('error', fail)
    outgoing.end()
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
  let next = 0
  for (const clients of clientCounts) {
    const mine = await load(clients, seconds * 1000, () =>
      tandem.call('POST', maps, JSON.stringify(configMap(next++))).then(() => {}),
    )
    const base = next
    const peer = etcd ? await load(clients, seconds * 1000, (_client, index) => etcd.create(base + index)) : undefined
    line('create', clients, mine, peer)
  }
  for (const clients of clientCounts) {
    const mine = await load(clients, seconds * 1000, (_client, index) =>
      tandem.call('GET', `${maps}/bench-${index % next}`).then(() => {}),
    )
    const peer = etcd ? await load(clients, seconds * 1000, (_client, index) => etcd.get(index)) : undefined
    line('get', clients, mine, peer)
  }
  for (const clients of clientCounts) {
    const mine = await load(clients, seconds * 1000, () => tandem.call('GET', `${maps}?limit=500`).then(() => {}))
    line(`list limit=500 of ${next}`, clients, mine, undefined)
  }
  console.log()
  heading('watchers', 'creates /s (16 clients)', 'events /s', 'POST→event p50 ms', 'p99 ms')
  for (const watchers of clientCounts) {
    const result = await fanOut(tandem, watchers)
    row(watchers, result.count, result.perSecond, result.p50, result.p99)
  }
  console.log(`\nafter the load: Tandem ${residentMb(tandem.pid)} MB${etcd ? `, etcd ${residentMb(etcd.pid)} MB` : ''}`)
  etcd?.close()
  tandem.agent.destroy()
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
