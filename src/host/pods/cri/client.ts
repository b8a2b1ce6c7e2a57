// Talks CRI v1 and containerd's event service over one unix socket.

import { connect } from 'node:net'
import { constants } from 'node:os'
import type { ByteChannel, ExecSession } from '../../../api/streams.ts'
import { createGrpcClient, type GrpcClient, GrpcError, status } from '../../../wire/grpc.ts'
import { type Decoded, decode, type Encodable, encode, type Message } from '../../../wire/protobuf.ts'
import { openSession, type SessionStreams } from '../exec-session.ts'
import { forwardPort } from '../port-forward.ts'
import {
  deleteTask,
  Envelope,
  inNamespace,
  killTask,
  listContainers,
  SubscribeRequest,
  subscribePath,
  type TaskEvent,
  taskEvent,
  waitForTask,
} from './containerd-services.ts'
import { type Method, type Methods, methods } from './methods.ts'

/** A call that the runtime refused or did not answer. */
export class CriError extends Error {
  readonly code: number
  constructor(method: string, error: GrpcError) {
    super(describe(method, error), { cause: error })
    this.name = 'CriError'
    this.code = error.code
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof CriError && error.code === status.NOT_FOUND
export const ignoreNotFound = (error: unknown): undefined => {
  if (isNotFound(error)) return undefined
  throw error
}
export const isUnreachable = (error: unknown): boolean => error instanceof CriError && error.code === status.UNAVAILABLE

function describe(method: string, error: GrpcError): string {
  if (error.code === status.UNAVAILABLE) return `containerd does not answer (${method}): ${error.message}`
  if (error.code === status.DEADLINE_EXCEEDED) return `containerd took too long to answer ${method}`
  // containerd's own words are what the kubelet shows in Events, too.
  return error.message
}

type Call = {
  [K in keyof Methods]: (
    input: Encodable<Methods[K]['input']>,
    options?: { deadlineMs?: number; signal?: AbortSignal },
  ) => Promise<Decoded<Methods[K]['output']>>
}

type WithUrl = 'exec' | 'attach' | 'portForward'

export interface Cri extends Omit<Call, WithUrl> {
  /** The session itself: where the runtime has a streaming server, its URL is nobody else's concern. */
  openExec(request: SessionStreams & { containerId: string; cmd: string[] }): Promise<ExecSession>
  openAttach(request: SessionStreams & { containerId: string }): Promise<ExecSession>
  openPort(podSandboxId: string, port: number): Promise<ByteChannel>
  /**
   * Exits and OOM kills of containers and sandboxes, as they happen; `lost` is called once when the stream breaks.
   * Returns a function that ends it.
   */
  subscribe(listener: (event: TaskEvent) => void, lost: (error: Error) => void): () => void
  /** To the first process of a container. */
  signal(containerId: string, signal: number): Promise<void>
  /** Kills and deletes the task of a container that CRI takes for ended, though containerd has it. */
  endTask(containerId: string): Promise<void>
  /** Of all that containerd itself knows, sandboxes and those that are being made among them. */
  containerIds(): Promise<Set<string>>
  close(): void
}

interface Asked<I extends Message, O extends Message> {
  path: string
  input: I
  output: O
  deadlineMs: number
  signal?: AbortSignal
  metadata?: Record<string, string>
}

async function ask<I extends Message, O extends Message>(
  client: GrpcClient,
  { path, input, output, deadlineMs, signal, metadata = {} }: Asked<I, O>,
  value: object,
): Promise<Decoded<O>> {
  try {
    const message = encode(input, value as never)
    return decode(output, await client.unary({ path, message, deadlineMs, metadata, ...(signal && { signal }) }))
  } catch (error) {
    throw error instanceof GrpcError ? new CriError(path.split('/').at(-1)!, error) : error
  }
}

export function createCri(socket: string): Cri {
  const client = createGrpcClient(() => connect(socket))
  const call =
    ({ service, name, input, output, deadlineMs }: Method) =>
    (value: object, options?: { deadlineMs?: number; signal?: AbortSignal }) =>
      ask(client, { path: `/runtime.v1.${service}/${name}`, input, output, deadlineMs, ...options }, value)
  const { exec, attach, portForward, ...calls } = Object.fromEntries(
    Object.entries(methods).map(([key, method]) => [key, call(method)]),
  ) as unknown as Call
  return {
    ...calls,
    openExec: async (request) => openSession((await exec(request)).url, request),
    openAttach: async (request) => openSession((await attach(request)).url, request),
    openPort: async (podSandboxId, port) => forwardPort((await portForward({ podSandboxId, port: [port] })).url, port),
    subscribe(listener, lost) {
      const message = encode(SubscribeRequest, { filters: ['topic=="/tasks/exit"', 'topic=="/tasks/oom"'] })
      return client.stream(
        { path: subscribePath, message, metadata: inNamespace },
        (bytes) => {
          const event = taskEvent(decode(Envelope, bytes))
          if (event) listener(event)
        },
        (error) => lost(error ?? new Error('containerd ended the event stream')),
      )
    },
    signal: async (containerId, signal) => void (await ask(client, killTask, { containerId, signal })),
    async endTask(containerId) {
      await ask(client, killTask, { containerId, signal: constants.signals.SIGKILL }).catch(ignoreNotFound)
      await ask(client, waitForTask, { containerId }).catch(ignoreNotFound)
      await ask(client, deleteTask, { containerId }).catch(ignoreNotFound)
    },
    containerIds: async () => new Set((await ask(client, listContainers, {})).containers.map(({ id }) => id)),
    close: () => client.close(),
  }
}
