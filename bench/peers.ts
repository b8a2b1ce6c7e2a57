// The servers that bench/api.ts measures: Tandem, and beside it etcd alone and a real kube-apiserver, where they are found.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect as connectTcp, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { accessFromKubeconfig } from '../src/client/kubeconfig.ts'
import { createAsk } from './connection.ts'

const home = resolve(import.meta.dirname, '..')

/** Who is measured: connections to it, and a first request that pays for the handshake. */
export interface Peer {
  processes: ChildProcess[]
  open(): Socket
  host: string
  warm: [method: string, path: string, body?: string]
  /** From the start of its processes to its first good answer. */
  readyMs: number
}

export const residentMb = ({ processes }: Peer): number =>
  Math.round(
    processes.reduce((sum, { pid }) => {
      const text = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : ''
      return sum + Number(/VmRSS:\s+(\d+)/.exec(text)?.[1] ?? 0)
    }, 0) / 1024,
  )

type Parts = Omit<Peer, 'readyMs'>

/** Resolves with the first answer that is not a refusal. @throws Error after a minute */
async function untilReady(parts: Parts, started: number, answer: Peer['warm'] = parts.warm): Promise<Peer> {
  for (;;) {
    const socket = parts.open()
    try {
      await createAsk(socket, parts.host)(...answer)
      return { ...parts, readyMs: Math.round(performance.now() - started) }
    } catch (error) {
      if (performance.now() - started > 60_000 || parts.processes.some((one) => one.exitCode !== null))
        throw new Error(`${parts.host} does not become ready`, { cause: error })
      await sleep(20)
    } finally {
      socket.destroy()
    }
  }
}

const children: ChildProcess[] = []

function run(program: string, args: string[]): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', process.env.BENCH_VERBOSE ? 'inherit' : 'ignore'] })
  children.push(child)
  return child
}

/** At once: a kube-apiserver that is asked to end waits for an etcd that has ended before it. */
export async function stopAll(): Promise<void> {
  const running = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
  const ended = running.map((child) => once(child, 'exit'))
  for (const child of running) child.kill('SIGKILL')
  await Promise.all(ended)
}

export async function startTandem(scratch: string, port: number): Promise<Peer> {
  const kubeconfig = join(scratch, 'kubeconfig')
  const started = performance.now()
  const listen = ['--listen', `127.0.0.1:${port}`, '--store', join(scratch, 'store.db'), '--kubeconfig', kubeconfig]
  const child = run(join(home, 'tandem'), ['dev', ...listen])
  while (!existsSync(kubeconfig)) {
    if (child.exitCode !== null) throw new Error(`Tandem ended at once; run with BENCH_VERBOSE=1 to see why`)
    await sleep(10)
  }
  const access = accessFromKubeconfig(readFileSync(kubeconfig, 'utf8'))
  const identity = { ca: access.ca, cert: access.clientCertificate, key: access.clientKey }
  const open = () => connectTls({ host: '127.0.0.1', port, ...identity })
  return untilReady({ processes: [child], open, host: `127.0.0.1:${port}`, warm: ['GET', '/version'] }, started)
}

/** ETCD names another one than Debian's. undefined: there is none. */
export const etcdProgram = (): string | undefined =>
  [process.env.ETCD, '/usr/bin/etcd'].find((path) => path && existsSync(path))

/** It listens on `port` and the next one. */
export function etcdArgv(directory: string, port: number): string[] {
  const url = `http://127.0.0.1:${port}`
  const peer = `http://127.0.0.1:${port + 1}`
  return [
    ...['--data-dir', directory, '--listen-client-urls', url, '--advertise-client-urls', url],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--initial-cluster', `default=${peer}`, '--log-level', 'error'],
  ]
}

export const etcdKey = (index: number): string => Buffer.from(`/bench/${index}`).toString('base64')

export async function startEtcd(scratch: string, port: number): Promise<Peer | undefined> {
  const program = etcdProgram()
  if (!program) return undefined
  const started = performance.now()
  const child = run(program, etcdArgv(join(scratch, 'etcd'), port))
  const warm: Peer['warm'] = ['POST', '/v3/kv/range', JSON.stringify({ key: etcdKey(0) })]
  return untilReady(
    { processes: [child], open: () => connectTcp(port, '127.0.0.1'), host: `127.0.0.1:${port}`, warm },
    started,
  )
}

/** KUBE_APISERVER and an etcd of its own. undefined: one of them is not there. */
export async function startKubernetes(scratch: string, port: number): Promise<Peer | undefined> {
  const program = process.env.KUBE_APISERVER
  const etcd = etcdProgram()
  if (!program || !etcd) return undefined
  const directory = join(scratch, 'kubernetes')
  mkdirSync(directory)
  const key = join(directory, 'sa.key')
  execFileSync('openssl', ['genrsa', '-out', key, '2048'], { stdio: 'ignore' })
  const tokens = join(directory, 'tokens.csv')
  writeFileSync(tokens, 'bench,admin,admin,system:masters\n')
  const started = performance.now()
  const store = run(etcd, etcdArgv(join(directory, 'etcd'), port + 1))
  const server = run(program, [
    ...['--etcd-servers', `http://127.0.0.1:${port + 1}`, '--secure-port', String(port)],
    ...['--bind-address', '127.0.0.1', '--cert-dir', join(directory, 'certs'), '--token-auth-file', tokens],
    ...['--service-account-issuer', 'https://kubernetes.default.svc', '--service-account-key-file', key],
    ...['--service-account-signing-key-file', key, '--service-cluster-ip-range', '10.99.0.0/24'],
    ...['--authorization-mode', 'RBAC', '--allow-privileged', '--enable-admission-plugins', 'NodeRestriction'],
  ])
  const open = () => connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false })
  const parts = { processes: [server, store], open, host: `127.0.0.1:${port}\r\nAuthorization: Bearer bench` }
  return untilReady({ ...parts, warm: ['GET', '/version'] }, started, ['GET', '/api/v1/namespaces/default'])
}
