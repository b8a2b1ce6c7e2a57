// What the runtime says about a Pod's sandbox and containers, in the words of this room.

import type { Decoded } from '../../wire/protobuf.ts'
import { type ContainerStatus, type PodSandboxStatus, sandboxState } from './cri/messages.ts'
import { annotations } from './names.ts'
import type { Resources } from './pod.ts'

export interface SandboxRecord {
  id: string
  attempt: number
  /** RuntimeClass.handler; '' is the default one. */
  handler: string
  ready: boolean
  createdAt: number
  /** None in the machine's own network. */
  addresses: string[]
}

export type ContainerState = 'created' | 'running' | 'exited' | 'unknown'

export interface ContainerRecord {
  id: string
  name: string
  sandboxId: string
  restartCount: number
  state: ContainerState
  /** Milliseconds since 1970. */
  startedAt: number
  finishedAt: number
  exitCode: number
  reason: string
  message: string
  image: string
  imageId: string
  hash: string
  logPath: string
  /** The postStart hook still runs: the container is not started yet for whoever asks. */
  hookRuns?: boolean
  /** Requests and limits that it really has; undefined when nobody knows. */
  resources?: Resources
  /** Limits that hold for it: its own, or the Pod's. */
  bounds?: Record<string, string>
  /** Whom its first process ran as. */
  user?: { uid: number; gid: number; supplementalGroups: number[] }
}

/** containerd's word for a container whose first process never ran. */
const startError = 'StartError'

export const couldNotStart = ({ state, reason }: ContainerRecord): boolean =>
  state === 'exited' && reason === startError

const states: ContainerState[] = ['created', 'running', 'exited', 'unknown']

/**
 * Its start was called off half-way, as Tandem ended, or its sandbox was gone before anybody knew: it never ran, so it
 * neither failed nor counts as a restart.
 */
const isCalledOff = ({ reason, message }: Decoded<typeof ContainerStatus>): boolean =>
  reason === startError && /\bcontext canceled\b|\blstat \/proc\/\d+\/ns\/\w+: no such file/.test(message)

/** What the runtime does not tell again. */
export const rememberedOf = ({ hookRuns, resources, bounds, user }: ContainerRecord): Partial<ContainerRecord> => ({
  ...(hookRuns && { hookRuns }),
  ...(resources && { resources }),
  ...(bounds && { bounds }),
  ...(user && { user }),
})

const milliseconds = (nanoseconds: bigint): number => Number(nanoseconds / 1_000_000n)

export function containerRecord(status: Decoded<typeof ContainerStatus>, sandboxId: string): ContainerRecord {
  return {
    id: status.id,
    name: status.metadata?.name ?? '',
    sandboxId,
    restartCount: Number(status.annotations[annotations.restartCount] ?? status.metadata?.attempt ?? 0),
    state: isCalledOff(status) ? 'created' : (states[status.state] ?? 'unknown'),
    startedAt: milliseconds(status.startedAt),
    finishedAt: milliseconds(status.finishedAt),
    exitCode: status.exitCode,
    reason: status.reason,
    message: status.message,
    image: status.image?.image ?? '',
    imageId: status.imageRef,
    hash: status.annotations[annotations.hash] ?? '',
    logPath: status.logPath,
    ...resourcesIn(status.annotations[annotations.resources]),
  }
}

function resourcesIn(text: string | undefined): Pick<ContainerRecord, 'resources' | 'bounds'> {
  try {
    if (!text) return {}
    const { bounds, ...resources } = JSON.parse(text) as Resources & { bounds?: Record<string, string> }
    return { resources, bounds: bounds ?? {} }
  } catch {
    return {}
  }
}

export function sandboxRecord(status: Decoded<typeof PodSandboxStatus>): SandboxRecord {
  const { ip = '', additionalIps = [] } = status.network ?? {}
  return {
    id: status.id,
    attempt: status.metadata?.attempt ?? 0,
    handler: status.runtimeHandler,
    ready: status.state === sandboxState.ready,
    createdAt: milliseconds(status.createdAt),
    addresses: [ip, ...additionalIps.map((more) => more.ip)].filter(Boolean),
  }
}
