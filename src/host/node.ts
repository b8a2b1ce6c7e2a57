// This machine as a Node: registered once, its conditions kept true, its lease renewed so that the others know it lives.

import { readFileSync, statfsSync } from 'node:fs'
import { arch, cpus, hostname, networkInterfaces, release, totalmem } from 'node:os'
import { isApiError } from '../api/errors.ts'
import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { equalJson } from '../api/walk/plain.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import type { Client } from '../client/client.ts'
import { defaults } from '../config.ts'

const nodes: ResourceRef = { group: '', version: 'v1', resource: 'nodes' }
const leases: ResourceRef = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' }

/** As the kubelet (1.32): the lease every 10 s for 40 s, the status when it changed or every 5 minutes. */
const leaseRenewMs = 10_000
const leaseSeconds = 40
const statusReportMs = 300_000

/** The kubelet's own port. Nobody listens there: what it serves comes through the API (nodes/<name>/proxy). */
export const kubeletPort = 10250

export interface NodeCondition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason: string
  message: string
}

export interface NodeOptions {
  client: Client
  clock: Clock
  log: Logger
  nodeName: string
  stateDir: string
  podCidr: string
  version: string
  runtimeVersion: () => string
  /** Conditions of the drivers; each that is not as it should be makes the node NotReady. */
  conditions: () => NodeCondition[]
  /** Values of RuntimeClass.handler that can be used, beside the default one. */
  runtimeHandlers?: () => string[]
  /** How many Pods the scheduler may place here. */
  maxPods?: number
  /** Extra status fields. */
  images?: () => Promise<{ names: string[]; sizeBytes: number }[]>
}

export interface NodeAgent {
  /** Resolves when the Node object exists. */
  start(): Promise<void>
  /** Something that the conditions tell of has changed. */
  report(): Promise<void>
  stop(): void
}

export function createNodeAgent(options: NodeOptions): NodeAgent {
  const { client, clock, log, nodeName } = options
  let timer: Timer | undefined
  let reportedAt = Number.NEGATIVE_INFINITY
  let stopped = false

  async function report(): Promise<void> {
    await reportNow(true)
  }

  /** Somebody else may write the same status, as whoever brings resources of another kind: then once more. */
  async function reportNow(always: boolean, tries = 3): Promise<void> {
    const node = await client.get(nodes, nodeName)
    const status = nodeStatus(node, options, clock.now(), (await options.images?.()) ?? [])
    if (!always && equalJson(withoutHeartbeats(status), withoutHeartbeats(node.status))) return
    const patch = [
      { op: 'test', path: '/metadata/resourceVersion', value: node.metadata.resourceVersion },
      { op: 'add', path: '/status', value: status },
    ]
    try {
      await client.patch(nodes, nodeName, undefined, 'json', patch, { subresource: 'status' })
    } catch (error) {
      if (tries > 1 && isApiError(error, 'Invalid')) return reportNow(always, tries - 1)
      throw error
    }
    reportedAt = clock.now()
  }

  async function register(): Promise<void> {
    try {
      await client.create(nodes, newNode(options))
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error
    }
  }

  async function renewLease(): Promise<void> {
    const renewTime = new Date(clock.now()).toISOString().replace('Z', '000Z')
    const spec = { holderIdentity: nodeName, leaseDurationSeconds: leaseSeconds, renewTime }
    try {
      await client.patch(leases, nodeName, 'kube-node-lease', 'merge', { spec })
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error
      const metadata = { name: nodeName, namespace: 'kube-node-lease' }
      await client.create(leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec })
    }
  }

  /** A store that cannot write at the moment keeps no node from starting. */
  async function beat(): Promise<void> {
    try {
      await renewLease()
      await reportNow(clock.now() - reportedAt >= statusReportMs).catch(async (error) => {
        if (!isApiError(error, 'NotFound')) throw error
        // Deleted under our feet: as a kubelet that starts, it comes again.
        await register()
        await reportNow(true)
      })
    } catch (error) {
      log.warn('cannot report this node; trying again', { error })
    }
    if (!stopped) timer = clock.after(leaseRenewMs, () => void beat())
  }

  return {
    async start() {
      await register()
      await beat()
    },
    report,
    stop() {
      stopped = true
      timer?.cancel()
    },
  }
}

function newNode({ nodeName, podCidr }: NodeOptions) {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName,
      labels: {
        'kubernetes.io/hostname': nodeName,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': goArch(),
        'beta.kubernetes.io/os': 'linux',
        'beta.kubernetes.io/arch': goArch(),
        'node-role.kubernetes.io/control-plane': '',
        'kubevirt.io/schedulable': 'true',
      },
      annotations: { 'node.alpha.kubernetes.io/ttl': '0' },
    },
    spec: { podCIDR: podCidr, podCIDRs: [podCidr] },
  }
}

function nodeStatus(
  node: StoredObject,
  options: NodeOptions,
  now: number,
  images: { names: string[]; sizeBytes: number }[],
): Record<string, unknown> {
  const own = machineResources(options)
  // Resources of other kinds are somebody else's (a device plugin); what there is of them may be asked for.
  const others = Object.entries(node.status?.capacity ?? {}).filter(([name]) => name.includes('/'))
  const resources = { ...Object.fromEntries(others), ...own }
  return {
    ...node.status,
    addresses: [
      { type: 'InternalIP', address: machineAddress() },
      { type: 'Hostname', address: options.nodeName },
    ],
    capacity: resources,
    allocatable: resources,
    conditions: mergeConditions(node.status?.conditions ?? [], readiness(options), now),
    nodeInfo: nodeInfo(options),
    daemonEndpoints: { kubeletEndpoint: { Port: kubeletPort } },
    runtimeHandlers: ['', ...(options.runtimeHandlers?.() ?? ['runc'])].map((name) => ({
      name,
      features: { recursiveReadOnlyMounts: false, userNamespaces: false },
    })),
    features: { supplementalGroupsPolicy: false },
    images: images.toSorted((a, b) => b.sizeBytes - a.sizeBytes).slice(0, 50),
  }
}

function withoutHeartbeats(status: Record<string, any> = {}): unknown {
  const conditions = (status.conditions ?? []).map(({ lastHeartbeatTime: _heartbeat, ...rest }: any) => rest)
  return { ...status, conditions }
}

/** The kubelet's four conditions; Ready is False while a driver says that it is not. */
function readiness(options: NodeOptions): NodeCondition[] {
  const drivers = options.conditions()
  const unready = drivers.filter((condition) => condition.type === 'Ready' && condition.status !== 'True')
  const ready: NodeCondition = unready.length
    ? { type: 'Ready', status: 'False', reason: unready[0]!.reason, message: unready.map((c) => c.message).join('; ') }
    : { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'kubelet is posting ready status' }
  const fine = (type: string, reason: string, message: string): NodeCondition => ({
    type,
    status: 'False',
    reason,
    message,
  })
  const told = (type: string) => drivers.find((condition) => condition.type === type)
  return [
    told('MemoryPressure') ??
      fine('MemoryPressure', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    told('DiskPressure') ?? diskPressure(options.stateDir),
    fine('PIDPressure', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    ...drivers.filter(({ type }) => !['Ready', 'MemoryPressure', 'DiskPressure'].includes(type)),
    ready,
  ]
}

/** The kubelet's default hard threshold for nodefs: 10 % free. */
function diskPressure(stateDir: string): NodeCondition {
  const { bavail, blocks } = statfsSync(stateDir)
  const free = blocks ? bavail / blocks : 1
  return free < 0.1
    ? {
        type: 'DiskPressure',
        status: 'True',
        reason: 'KubeletHasDiskPressure',
        message: `${Math.round(free * 100)} % of the disk of ${stateDir} is free; make room there`,
      }
    : {
        type: 'DiskPressure',
        status: 'False',
        reason: 'KubeletHasNoDiskPressure',
        message: 'kubelet has no disk pressure',
      }
}

/** lastTransitionTime stays while the status of a condition stays. */
export function mergeConditions(old: Record<string, string>[], fresh: NodeCondition[], now: number) {
  const time = new Date(now).toISOString().replace(/\.\d+Z/, 'Z')
  return fresh.map((condition) => {
    const before = old.find((other) => other.type === condition.type)
    const same = before?.status === condition.status
    return { ...condition, lastHeartbeatTime: time, lastTransitionTime: same ? before.lastTransitionTime : time }
  })
}

function machineResources({ stateDir, maxPods = defaults.maxPods }: NodeOptions): Record<string, string> {
  const { blocks, bsize } = statfsSync(stateDir)
  return {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    'ephemeral-storage': `${Math.floor((blocks * bsize) / 1024)}Ki`,
    pods: `${maxPods}`,
    'hugepages-1Gi': '0',
    'hugepages-2Mi': '0',
  }
}

function nodeInfo(options: NodeOptions): Record<string, string> {
  return {
    machineID: firstLine('/etc/machine-id').replaceAll('-', ''),
    systemUUID: firstLine('/sys/class/dmi/id/product_uuid') || firstLine('/etc/machine-id'),
    bootID: firstLine('/proc/sys/kernel/random/boot_id'),
    kernelVersion: release(),
    osImage: osName(),
    containerRuntimeVersion: options.runtimeVersion(),
    kubeletVersion: options.version,
    kubeProxyVersion: options.version,
    operatingSystem: 'linux',
    architecture: goArch(),
  }
}

/** The address by which other machines know this one: the first that is neither loopback nor one of ours. */
export function machineAddress(): string {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (name === 'lo' || name.startsWith('td') || name.startsWith('veth')) continue
    const ipv4 = addresses?.find((address) => address.family === 'IPv4' && !address.internal)
    if (ipv4) return ipv4.address
  }
  return '127.0.0.1'
}

const goArch = (): string => ({ x64: 'amd64', arm64: 'arm64' })[arch() as 'x64'] ?? arch()

function osName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux'
  } catch {
    return 'Linux'
  }
}

function firstLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').split('\n')[0]!.trim()
  } catch {
    return ''
  }
}

/** The default name of this node, as the kubelet takes it. */
export const defaultNodeName = (): string => hostname().toLowerCase()
