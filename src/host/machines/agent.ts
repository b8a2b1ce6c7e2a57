// The guest agent (qemu-ga) over its virtio-serial port. Whoever answers is inside the guest and may lie, be slow, or
// never end a line: every answer has a deadline and a limit, and nothing of it is trusted beyond being shown.

import { randomInt } from 'node:crypto'
import { type JsonSocket, openJsonSocket } from './json-socket.ts'

export interface GuestInterface {
  name: string
  mac?: string
  addresses: string[]
}

export interface GuestInfo {
  /** KubeVirt's guestOSInfo. */
  os: Record<string, string>
  hostname?: string
  interfaces: GuestInterface[]
  version?: string
}

/** The guest's own word: it cannot, or does not want to. */
export class AgentRefusal extends Error {}

export interface Agent {
  readonly closed: boolean
  /** @throws Error when the guest does not answer in time, AgentRefusal when it says no. */
  execute<T = any>(command: string, args?: object, timeoutMs?: number): Promise<T>
  close(): void
}

const lineLimit = 1024 * 1024

/** Connects and synchronizes; @throws Error when no agent answers. */
export async function openAgent(path: string, timeoutMs = 3_000): Promise<Agent> {
  let waiting: { resolve(value: any): void; reject(error: Error): void } | undefined
  const token = randomInt(2 ** 31)
  let synchronized = false
  let last: Promise<unknown> = Promise.resolve()
  const socket: JsonSocket = await openJsonSocket({
    path,
    limit: lineLimit,
    skipGarbage: true,
    connectTimeoutMs: timeoutMs,
    onMessage(message) {
      // Answers to a former Tandem's questions may come first.
      if (!synchronized && message.return !== token) return
      synchronized = true
      const error = message.error as { desc?: unknown } | undefined
      if (error) waiting?.reject(new AgentRefusal(`the guest agent says: ${String(error.desc).slice(0, 200)}`))
      else waiting?.resolve(message.return)
    },
    onClose: (reason) => waiting?.reject(new Error(`guest agent: ${reason}`)),
  })

  /** The protocol has no ids: one command at a time, and a late answer ends the connection. */
  function execute<T>(command: string, args?: object, commandTimeoutMs = timeoutMs): Promise<T> {
    const turn = last.then(() => ask<T>(command, args, commandTimeoutMs))
    last = turn.catch(() => {})
    return turn
  }

  function ask<T>(command: string, args: object | undefined, commandTimeoutMs: number): Promise<T> {
    if (socket.closed) return Promise.reject(new Error('guest agent: not connected'))
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting?.reject(new Error(`the guest agent did not answer to ${command} within ${commandTimeoutMs / 1000} s`))
        socket.close()
      }, commandTimeoutMs)
      const settle = () => {
        clearTimeout(timer)
        waiting = undefined
      }
      waiting = {
        resolve: (value) => {
          settle()
          resolve(value)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      }
      socket.send({ execute: command, ...(args && { arguments: args }) })
    })
  }

  try {
    await execute('guest-sync', { id: token })
  } catch (error) {
    socket.close()
    throw error
  }
  return {
    get closed() {
      return socket.closed
    },
    execute,
    close: () => socket.close(),
  }
}

/** What status.guestOSInfo and status.interfaces show (field names: KubeVirt 1.8 VirtualMachineInstanceGuestOSInfo). */
export async function readGuest(agent: Agent): Promise<GuestInfo> {
  const [info, os, host, network] = [
    await agent.execute('guest-info').catch(() => ({})),
    await agent.execute('guest-get-osinfo').catch(() => ({})),
    await agent.execute('guest-get-host-name').catch(() => ({})),
    await agent.execute('guest-network-get-interfaces').catch(() => []),
  ]
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 256) : '')
  const names: Record<string, unknown> = {
    id: os.id,
    kernelRelease: os['kernel-release'],
    kernelVersion: os['kernel-version'],
    machine: os.machine,
    name: os.name,
    prettyName: os['pretty-name'],
    version: os.version,
    versionId: os['version-id'],
  }
  const shown = Object.entries(names).map(([name, value]) => [name, text(value)] as const)
  return {
    os: Object.fromEntries(shown.filter(([, value]) => value)),
    hostname: text(host['host-name']) || undefined,
    version: text(info.version) || undefined,
    interfaces: Array.isArray(network) ? network.slice(0, 64).map(guestInterface) : [],
  }
}

function guestInterface(given: any): GuestInterface {
  const addresses = Array.isArray(given?.['ip-addresses']) ? given['ip-addresses'].slice(0, 64) : []
  return {
    name: String(given?.name ?? '').slice(0, 64),
    mac: typeof given?.['hardware-address'] === 'string' ? given['hardware-address'].slice(0, 64) : undefined,
    addresses: addresses.map((one: any) => String(one?.['ip-address'] ?? '').slice(0, 64)).filter(Boolean),
  }
}
