// Hostile requests for a time, and what must hold meanwhile: every answer is below 500 or says that something is not
// there yet, the process lives, no turn of its event loop takes over 200 ms, its memory stays bounded.
//
//   node test/fuzz/fuzz.ts [seconds, default 600] [seed]
//
// FUZZ_PROFILES=folder: what the processor did in each second with a long turn, as a .cpuprofile for a browser's tools.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request as send } from 'node:https'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { accessFromKubeconfig } from '../../src/client/kubeconfig.ts'
import { kinds } from '../../src/kinds/index.ts'
import { subresourceTable } from '../../src/server/subresources/table.ts'
import { createRandom } from './random.ts'
import { type HostileRequest, hostileRequest, type Target } from './requests.ts'
import type { Health } from './server.ts'

export interface FuzzResult {
  requests: number
  byStatus: Record<string, number>
  worstStallMs: number
  peakRssMB: number
  /** What must not be, one line each; empty when all is well. */
  failures: string[]
}

const clients = 6
const stallLimitMs = 200
const rssLimitMB = 1500
const namespace = 'fuzz'

export function targets(): Target[] {
  return kinds
    .filter((kind) => kind.plural !== 'namespaces')
    .map((kind) => {
      const base = kind.group ? `/apis/${kind.group}/${kind.version}` : `/api/${kind.version}`
      const inNamespace = kind.scope === 'Namespaced'
      const key = kind.group ? `${kind.plural}.${kind.group}` : kind.plural
      const { namespace: _, ...metadata } = kind.example.metadata
      return {
        collection: `${base}${inNamespace ? `/namespaces/${namespace}` : ''}/${kind.plural}`,
        subresources: ['status', 'scale', ...(subresourceTable[key] ?? []).map((info) => info.subresource)],
        example: { ...kind.example, metadata: { ...metadata, ...(inNamespace && { namespace }) } },
      }
    })
}

export async function fuzz(seconds: number, seed: number, say: (line: string) => void = () => {}): Promise<FuzzResult> {
  const random = createRandom(seed)
  const everything = targets()
  const result: FuzzResult = { requests: 0, byStatus: {}, worstStallMs: 0, peakRssMB: 0, failures: [] }
  const server = await startServer()
  const slowest: { ms: number; what: string }[] = []
  const end = Date.now() + seconds * 1000
  const fail = (line: string) => {
    if (result.failures.length >= 50) return
    result.failures.push(line)
    say(`✗ ${line}`)
  }

  async function client(): Promise<void> {
    while (Date.now() < end && server.alive()) {
      const hostile = hostileRequest(everything, random)
      const started = performance.now()
      const { status, text } = await server.ask(hostile)
      result.requests++
      result.byStatus[status] = (result.byStatus[status] ?? 0) + 1
      const ms = performance.now() - started
      if (!hostile.path.includes('watch') && ms > 150) slowest.push({ ms, what: describe(hostile) })
      if (status >= 500 && status !== 503 && status !== 504 && !isOurs(text))
        fail(`${status} ${describe(hostile)}: ${messageOf(text)}`)
    }
  }

  async function watch(): Promise<void> {
    while (Date.now() < end && server.alive()) {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      const health = await server.health()
      if (!health) return
      result.worstStallMs = Math.max(result.worstStallMs, health.stallMs)
      result.peakRssMB = Math.max(result.peakRssMB, health.rssMB)
      if (health.polluted) fail('Object.prototype was changed')
      if (health.stallMs > stallLimitMs) {
        const suspects = slowest.toSorted((a, b) => b.ms - a.ms).slice(0, 3)
        fail(
          `a turn of ${health.stallMs} ms, near ${suspects.map((one) => `${Math.round(one.ms)} ms ${one.what}`).join(' | ')}`,
        )
      }
      slowest.length = 0
      say(`${result.requests} requests, ${health.rssMB} MB, ${result.failures.length} failures`)
    }
  }

  await Promise.all([watch(), ...Array.from({ length: clients }, client)])
  if (!server.alive()) fail('the server ended')
  if (result.peakRssMB > rssLimitMB) fail(`${result.peakRssMB} MB resident, more than ${rssLimitMB}`)
  await server.stop()
  return result
}

function describe({ method, path, headers, body }: HostileRequest): string {
  const what = body
    ? ` ${body.type}${body.encoding ? ` ${body.encoding}` : ''} ${body.bytes.toString('latin1').slice(0, 400)}`
    : ''
  return `${method} ${path.slice(0, 300)} accept=${headers.accept?.slice(0, 60)}${what}`
}

/** A webhook that a hostile request has set up is not there: 500 is what Kubernetes says then. */
const isOurs = (text: string): boolean => text.includes('failed calling webhook')

const messageOf = (text: string): string =>
  /"message":"((?:[^"\\]|\\.)*)/.exec(text)?.[1]?.slice(0, 300) ?? text.slice(0, 300)

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

async function startServer() {
  const port = await freePort()
  const child: ChildProcess = fork(join(import.meta.dirname, 'server.ts'), [String(port)], {
    // As the launcher starts it.
    execArgv: ['--no-warnings', '--max-semi-space-size=4'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [{ kubeconfig }] = (await once(child, 'message')) as [{ kubeconfig: string }]
  const { ca, clientCertificate: cert, clientKey: key } = accessFromKubeconfig(readFileSync(kubeconfig, 'utf8'))
  const agent = new Agent({ keepAlive: true, ca, cert, key, maxSockets: clients * 2 })
  const ended = once(child, 'exit').then(() => undefined)
  const alive = () => child.exitCode === null && child.signalCode === null

  /** Status 0: the client itself could not send it, or the server closed the line on it. */
  function ask({ method, path, headers, body }: HostileRequest): Promise<{ status: number; text: string }> {
    return new Promise((resolve) => {
      try {
        const encoding = body?.encoding ? { 'content-encoding': body.encoding } : {}
        const content = body ? { 'content-type': body.type, 'content-length': body.bytes.length, ...encoding } : {}
        const sent = send(
          { agent, host: '127.0.0.1', port, method, path, headers: { ...headers, ...content } },
          (answer) => {
            const chunks: Buffer[] = []
            answer.on('data', (chunk) => chunks.length < 20 && chunks.push(chunk))
            answer.on('error', () => resolve({ status: 0, text: '' }))
            answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString() }))
          },
        )
        sent.setTimeout(10_000, () => sent.destroy())
        // A watch of what changes all the time is never idle.
        const overdue = setTimeout(() => sent.destroy(), 60_000)
        sent.once('close', () => clearTimeout(overdue))
        sent.on('error', () => resolve({ status: 0, text: '' }))
        sent.end(body?.bytes)
      } catch {
        resolve({ status: 0, text: '' })
      }
    })
  }

  const made = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }
  const bytes = Buffer.from(JSON.stringify(made))
  await ask({ method: 'POST', path: '/api/v1/namespaces', headers: {}, body: { type: 'application/json', bytes } })
  return {
    alive,
    ask,
    async health(): Promise<Health | undefined> {
      const answer = Promise.race([once(child, 'message'), ended])
      child.send('health')
      return ((await answer) as [Health] | undefined)?.[0]
    },
    async stop(): Promise<void> {
      agent.destroy()
      if (!alive()) return
      child.disconnect()
      await ended
    },
  }
}

if (import.meta.main) {
  const seconds = Number(process.argv[2] ?? 600)
  const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31)
  console.log(`${seconds} s of hostile requests, seed ${seed}`)
  const { failures, ...figures } = await fuzz(seconds, seed, (line) => console.error(line))
  console.log(JSON.stringify(figures))
  for (const failure of failures) console.log(`✗ ${failure}`)
  console.log(failures.length === 0 ? 'nothing gave way' : `${failures.length} failures`)
  process.exit(failures.length === 0 ? 0 : 1)
}
