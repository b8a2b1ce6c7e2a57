// From an authorized stream request to the node: which sub-protocol, which workload, which stream. Errors before the
// upgrade are HTTP answers with a Status; after it, each protocol has its own way to say them.

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { ApiError } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { ByteChannel, NodeStreams, WorkloadRef } from '../../api/streams.ts'
import { exportPort } from '../../kinds/export/export-pod.ts'
import { debugContainersOf, isBeside } from '../../kinds/kubevirt/debug-containers.ts'
import {
  execChannelProtocols,
  forwardChannelProtocols,
  negotiate,
  plainProtocols,
} from '../../wire/channel-protocols.ts'
import type { MachineOfPod } from '../machine-pods.ts'
import type { RequestInfo } from '../request.ts'
import { execOverSpdy, execOverWebSocket } from './exec.ts'
import { logOverWebSocket } from './log-stream.ts'
import { requireStream } from './machine-streams.ts'
import { portChannelsOverWebSocket, portsOf } from './port-channels.ts'
import { portForwardOverSpdy, portForwardOverWebSocket, tunnelProtocol } from './port-forward.ts'
import { rawOverWebSocket } from './raw.ts'
import { wantsSpdy } from './spdy-upgrade.ts'
import { execOptions, logOptions, machinePort, workloadRef } from './target.ts'
import { offeredProtocols } from './websocket.ts'

export interface StreamUpgrade {
  request: IncomingMessage
  socket: Duplex
  head: Buffer
  info: RequestInfo
  query: URLSearchParams
}

/** Reads the object that the URL names; NotFound when there is none. */
export type Lookup = (group: string, resource: string, namespace: string, name: string) => StoredObject

export interface Streams {
  /** GET …/pods/{name}/log */
  log(info: RequestInfo, query: URLSearchParams, signal: AbortSignal): ApiResponse
  /** Serves an upgrade until it ends. The caller has authenticated and authorized it. @throws ApiError before the 101. */
  upgrade(upgrade: StreamUpgrade): Promise<void>
}

/** Streams of one Pod, or of the machine that is behind it. */
type PodStreams = Pick<NodeStreams, 'podLogs' | 'podExec' | 'podAttach' | 'podPortForward'>

/** Pods that only show something: which there are, and where their ports lead. */
export interface ShownPods {
  machineOfPod(namespace: string, name: string): MachineOfPod | undefined
  exportPod(namespace: string, name: string): StoredObject | undefined
  /** The door where exported disks are handed out. */
  exportDoor(): Promise<ByteChannel>
}

export function createStreams(node: NodeStreams, lookup: Lookup, shown?: ShownPods): Streams {
  const ofMachine: PodStreams = {
    podLogs: node.machineLogs,
    podExec: node.machineExec,
    podAttach: node.machineAttach,
    podPortForward: (machine, port) => node.machinePortForward(machine, port, 'tcp'),
  }

  /** The Pod that a container beside a guest is. */
  function besideMachine({ instance }: MachineOfPod, container: string | null): StoredObject | undefined {
    const found = debugContainersOf(instance).find((one) => one.container.name === container)
    if (!found) return undefined
    const pod = lookup('', 'pods', instance.metadata.namespace ?? '', found.pod)
    if (isBeside(pod, instance)) return pod
    throw new ApiError('NotFound', `pods "${found.pod}" is not beside ${instance.metadata.name}`)
  }

  function targetOf(
    { namespace, name }: RequestInfo,
    query: URLSearchParams,
  ): { pod: StoredObject; ref: WorkloadRef; at: PodStreams } {
    const machine = shown?.machineOfPod(namespace, name)
    const beside = machine && besideMachine(machine, query.get('container'))
    if (beside) return { pod: beside, ref: workloadRef(beside), at: node }
    if (machine) return { pod: machine.pod, ref: workloadRef(machine.instance), at: ofMachine }
    const exported = shown?.exportPod(namespace, name)
    if (shown && exported) return { pod: exported, ref: workloadRef(exported), at: ofExport(shown) }
    const pod = lookup('', 'pods', namespace, name)
    return { pod, ref: workloadRef(pod), at: node }
  }

  /** An instance by its own name, or that of the VirtualMachine it belongs to: both are the same. */
  const machineOf = (info: RequestInfo): StoredObject =>
    lookup('kubevirt.io', 'virtualmachineinstances', info.namespace, info.name)

  async function upgradePod(upgrade: StreamUpgrade): Promise<void> {
    const { info, query, request } = upgrade
    const { pod, ref, at } = targetOf(info, query)
    const offered = offeredProtocols(request)
    if (info.subresource === 'log') {
      const protocol = negotiate(plainProtocols, offered)
      if (!protocol) throw wrongProtocol(request, plainProtocols)
      const options = logOptions(pod, query)
      return await logOverWebSocket(upgrade, protocol, (signal) => at.podLogs(ref, options, signal))
    }
    if (info.subresource === 'portforward') {
      requireRunning(pod)
      const connect = (port: number) => at.podPortForward(ref, port)
      if (offered.includes(tunnelProtocol)) return await portForwardOverWebSocket(upgrade, connect)
      if (wantsSpdy(request)) return await portForwardOverSpdy(upgrade, connect)
      const channels = negotiate(forwardChannelProtocols, offered)
      if (!channels) throw wrongProtocol(request, [{ name: tunnelProtocol }, ...forwardChannelProtocols])
      return await portChannelsOverWebSocket(upgrade, channels, portsOf(query), connect)
    }
    const attach = info.subresource === 'attach'
    const options = execOptions(pod, query, attach)
    const start = () => (attach ? at.podAttach(ref, options) : at.podExec(ref, options))
    if (wantsSpdy(request)) return await execOverSpdy(upgrade, options, start)
    const protocol = negotiate(execChannelProtocols, offered)
    if (!protocol) throw wrongProtocol(request, execChannelProtocols)
    await execOverWebSocket(upgrade, protocol, start)
  }

  async function upgradeMachine(upgrade: StreamUpgrade): Promise<void> {
    const { info } = upgrade
    const machine = machineOf(info)
    requireStream(info.subresource, machine)
    const ref = workloadRef(machine)
    if (info.subresource === 'console') return await rawOverWebSocket(upgrade, () => node.machineConsole(ref))
    if (info.subresource === 'vnc') return await rawOverWebSocket(upgrade, () => node.machineVnc(ref))
    if (info.subresource === 'usbredir') return await rawOverWebSocket(upgrade, () => node.machineUsb(ref))
    const { port, protocol } = machinePort(info.rest)
    await rawOverWebSocket(upgrade, () => node.machinePortForward(ref, port, protocol), 'closed')
  }

  return {
    log(info, query, signal) {
      const { pod, ref, at } = targetOf(info, query)
      const options = logOptions(pod, query)
      const stream = at.podLogs(ref, options, signal)
      return { status: 200, headers: { 'content-type': 'text/plain' }, stream }
    },
    async upgrade(upgrade) {
      if (upgrade.info.group === '') await upgradePod(upgrade)
      else await upgradeMachine(upgrade)
    },
  }
}

/** Nothing runs in it; only its port leads somewhere. */
function ofExport({ exportDoor }: ShownPods): PodStreams {
  const refuse = ({ name }: WorkloadRef): never => {
    throw new ApiError('BadRequest', `pod ${name} shows a VirtualMachineExport: no container runs behind it`)
  }
  return {
    podLogs: refuse,
    podExec: refuse,
    podAttach: refuse,
    async podPortForward(_pod, port) {
      if (port !== exportPort) throw new Error(`nothing listens on port ${port}, only on ${exportPort}`)
      return await exportDoor()
    },
  }
}

function requireRunning(pod: StoredObject): void {
  if (pod.status?.phase === 'Running') return
  throw new ApiError(
    'BadRequest',
    `unable to forward port because pod is not running. Current status=${pod.status?.phase ?? 'Pending'}`,
  )
}

const wrongProtocol = (request: IncomingMessage, served: { name: string }[]): ApiError =>
  new ApiError(
    'BadRequest',
    `unable to upgrade: the client offers [${offeredProtocols(request).join(' ')}], the server accepts [${served.flatMap(({ name }) => name || []).join(' ')}] over WebSocket, or Upgrade: SPDY/3.1`,
  )
