// A whole Kubernetes on this machine (root), the peer of bench/cluster.ts: etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler, and a kubelet with a containerd of its own. Nothing is tuned but what lets it run beside others.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, createClient } from '../src/client/client.ts'
import { createHttpsTransport } from '../src/client/https.ts'
import { run } from '../src/host/exec.ts'
import { endShims } from '../src/host/pods/strays.ts'
import { unmountBelow } from '../src/host/pods/unmount.ts'
import { etcdArgv, etcdProgram } from './peers.ts'

const programs = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet'] as const
type Program = (typeof programs)[number]

export interface OneNodeKubernetes {
  client: Client
  /** Of etcd and Kubernetes' four programs, by name; containerd, which Tandem has too, is not among them. */
  pids(): Record<string, number>
  start(): void
  /** @param archive an image that its containerd gets */
  load(archive: string): Promise<void>
  /** Ends its programs but not what containerd runs. */
  stop(): Promise<void>
  close(): Promise<void>
}

/**
 * KUBERNETES_BIN is a folder with the four programs.
 * @returns what is missing, in words, or a Kubernetes to start
 */
export function oneNodeKubernetes(port: number): OneNodeKubernetes | string {
  const folder = process.env.KUBERNETES_BIN
  if (!folder) return 'KUBERNETES_BIN names no folder with Kubernetes’ programs'
  const missing = programs.filter((name) => !existsSync(join(folder, name)))
  if (missing.length > 0) return `${folder} has no ${missing.join(', ')}`
  const etcd = etcdProgram()
  if (!etcd) return 'etcd is missing: apt-get install etcd-server'
  const scratch = mkdtempSync(join(tmpdir(), 'bench-kubernetes-'))
  if (kubeletGroups().length > 0) return 'a kubelet runs on this machine: its control groups are there'
  const files = configure(scratch, port)
  const all: [name: string, program: string, argv: string[]][] = [
    ['etcd', etcd, etcdArgv(join(scratch, 'etcd'), port + 1)],
    ['containerd', 'containerd', ['--config', files.containerd]],
    ...programs.map((name): [string, string, string[]] => [name, join(folder, name), argvOf(name, scratch, port)]),
  ]
  const running = new Map<string, ChildProcess>()
  const { transport, close } = createHttpsTransport({ server: `https://127.0.0.1:${port}`, token, insecure: true })
  const socket = join(scratch, 'containerd.sock')
  const ctr = ['ctr', '--address', socket, '--namespace', 'k8s.io']

  function start(): void {
    for (const [name, program, argv] of all) {
      const output = process.env.BENCH_VERBOSE ? 'inherit' : 'ignore'
      const child = spawn(program, argv, { stdio: ['ignore', output, output] })
      child.on('exit', (code) => code && console.error(`${name} has ended with ${code}; BENCH_VERBOSE=1 shows why`))
      running.set(name, child)
    }
  }

  /** One after another, those first that write to others. */
  async function stop(): Promise<void> {
    for (const [name, child] of [...running].reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const ended = once(child, 'exit')
      child.kill(name === 'kubelet' || name === 'containerd' ? 'SIGTERM' : 'SIGKILL')
      await ended
    }
    running.clear()
  }

  return {
    client: createClient(transport),
    pids: () =>
      Object.fromEntries([...running].filter(([name]) => name !== 'containerd').map(([name, { pid }]) => [name, pid!])),
    start,
    load: async (archive) => void (await run([...ctr, 'images', 'import', archive])),
    stop,
    async close() {
      close()
      await stop()
      await removeGroups()
      await endShims(socket)
      await unmountBelow([scratch])
      rmSync(scratch, { recursive: true, force: true })
    },
  }
}

const token = 'bench'

function argvOf(program: Program, scratch: string, port: number): string[] {
  const [key, kubeconfig] = [join(scratch, 'sa.key'), join(scratch, 'kubeconfig')]
  const local = (offset: number) => ['--bind-address', '127.0.0.1', '--secure-port', String(port + offset)]
  if (program === 'kube-apiserver')
    return [
      ...local(0),
      ...['--etcd-servers', `http://127.0.0.1:${port + 1}`, '--cert-dir', join(scratch, 'certs')],
      ...['--token-auth-file', join(scratch, 'tokens.csv'), '--service-cluster-ip-range', '10.99.0.0/24'],
      ...['--service-account-issuer', 'https://kubernetes.default.svc', '--service-account-key-file', key],
      ...['--service-account-signing-key-file', key, '--authorization-mode', 'RBAC', '--allow-privileged'],
    ]
  if (program === 'kube-controller-manager')
    return [...local(3), '--kubeconfig', kubeconfig, '--service-account-private-key-file', key]
  if (program === 'kube-scheduler') return [...local(4), '--kubeconfig', kubeconfig]
  return [
    ...['--kubeconfig', kubeconfig, '--config', join(scratch, 'kubelet.json')],
    ...['--root-dir', join(scratch, 'kubelet'), '--cert-dir', join(scratch, 'kubelet-pki')],
    ...['--hostname-override', 'bench'],
  ]
}

/** @returns where containerd's settings are */
function configure(scratch: string, port: number): { containerd: string } {
  const write = (name: string, text: string) => {
    writeFileSync(join(scratch, name), text)
    return join(scratch, name)
  }
  execFileSync('openssl', ['genrsa', '-out', join(scratch, 'sa.key'), '2048'], { stdio: 'ignore' })
  write('tokens.csv', `${token},admin,admin,system:masters\n`)
  write('kubeconfig', JSON.stringify(kubeconfigOf(`https://127.0.0.1:${port}`)))
  write('kubelet.json', JSON.stringify(kubeletSettings(scratch, port)))
  mkdirSync(join(scratch, 'cni'))
  write('cni/10-bench.conflist', JSON.stringify(cni(scratch)))
  return { containerd: write('containerd.toml', containerdSettings(scratch)) }
}

const kubeconfigOf = (server: string) => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'bench', cluster: { server, 'insecure-skip-tls-verify': true } }],
  users: [{ name: 'bench', user: { token } }],
  contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
  'current-context': 'bench',
})

const kubeletSettings = (scratch: string, port: number) => ({
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  address: '127.0.0.1',
  port: port + 5,
  healthzPort: 0,
  authentication: { webhook: { enabled: false }, anonymous: { enabled: true } },
  authorization: { mode: 'AlwaysAllow' },
  cgroupDriver: 'cgroupfs',
  // Of Kubernetes 1.36: it would not run where the machine still has them.
  failCgroupV1: false,
  containerRuntimeEndpoint: `unix://${join(scratch, 'containerd.sock')}`,
  podLogsDir: join(scratch, 'pod-logs'),
  failSwapOn: false,
  // Of the machine that it shares with everything else.
  evictionHard: { 'memory.available': '1Mi' },
  imageGCHighThresholdPercent: 100,
})

const cni = (scratch: string) => ({
  cniVersion: '1.0.0',
  name: 'bench-kubernetes',
  plugins: [
    {
      type: 'ptp',
      ipam: { type: 'host-local', dataDir: join(scratch, 'addresses'), ranges: [[{ subnet: '10.98.0.0/24' }]] },
    },
  ],
})

const containerdSettings = (scratch: string): string => `version = 2
root = "${scratch}/containerd"
state = "${scratch}/containerd-run"
[grpc]
address = "${scratch}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "${scratch}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "tandem.dev/pause:1"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "${scratch}/cni"
`

/** Of its Pods, in the machine's one or several hierarchies. */
const kubeletGroups = (): string[] => [...globSync('/sys/fs/cgroup/kubepods'), ...globSync('/sys/fs/cgroup/*/kubepods')]

/** And what still runs in them: a Pod whose object is gone may end later. */
async function removeGroups(): Promise<void> {
  for (const group of kubeletGroups()) {
    const below = execFileSync('find', [group, '-depth', '-type', 'd'], { encoding: 'utf8' }).trim().split('\n')
    for (const one of below) {
      const pids = () => readFileSync(join(one, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number)
      for (const pid of pids()) process.kill(pid, 'SIGKILL')
      while (pids().length > 0) await sleep(20)
      rmdirSync(one)
    }
  }
}
