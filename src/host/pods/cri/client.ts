// Talks CRI v1 and containerd's event service over one unix socket.

import {
  type ClientReadableStream,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { type Decoded, decode, type Encodable, encode, type Message } from '../../../wire/protobuf.ts'
import { Envelope, ListIdsRequest, ListIdsResponse, SubscribeRequest, TaskExit } from './messages.ts'
import { type Method, type Methods, methods } from './methods.ts'

/** A call that the runtime refused or did not answer. */
export class CriError extends Error {
  readonly code: number
  constructor(method: string, error: ServiceError) {
    super(describe(method, error), { cause: error })
    this.name = 'CriError'
    this.code = error.code
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof CriError && error.code === status.NOT_FOUND
export const isUnreachable = (error: unknown): boolean => error instanceof CriError && error.code === status.UNAVAILABLE

function describe(method: string, error: ServiceError): string {
  if (error.code === status.UNAVAILABLE) return `containerd does not answer (${method}): ${error.details}`
  if (error.code === status.DEADLINE_EXCEEDED) return `containerd took too long to answer ${method}`
  // containerd's own words are what the kubelet shows in Events, too.
  return error.details || error.message
}

type Call = {
  [K in keyof Methods]: (
    input: Encodable<Methods[K]['input']>,
    options?: { deadlineMs?: number },
  ) => Promise<Decoded<Methods[K]['output']>>
}

export type TaskEvent = { topic: '/tasks/exit' | '/tasks/oom'; containerId: string }

export interface Cri extends Call {
  /**
   * Exits and OOM kills of containers and sandboxes, as they happen; `lost` is called once when the stream breaks.
   * Returns a function that ends it.
   */
  subscribe(listener: (event: TaskEvent) => void, lost: (error: Error) => void): () => void
  /** Of all that containerd itself knows, sandboxes and those that are being made among them. */
  containerIds(): Promise<Set<string>>
  close(): void
}

const listDeadlineMs = 30_000

/** containerd's own services keep the containers of CRI under this name. */
function inNamespace(): Metadata {
  const metadata = new Metadata()
  metadata.set('containerd-namespace', 'k8s.io')
  return metadata
}

const serializer = (table: Message) => (value: object) => Buffer.from(encode(table, value as never))
const deserializer = (table: Message) => (bytes: Buffer) => decode(table, bytes)

function clientFor(
  socket: string,
  service: string,
  calls: Record<string, { method: string; input: Message; output: Message; stream?: boolean }>,
) {
  const definition = Object.fromEntries(
    Object.entries(calls).map(([key, call]) => [
      key,
      {
        path: `/${service}/${call.method}`,
        requestStream: false as const,
        responseStream: call.stream ?? false,
        requestSerialize: serializer(call.input),
        requestDeserialize: deserializer(call.input),
        responseSerialize: serializer(call.output),
        responseDeserialize: deserializer(call.output),
      },
    ]),
  )
  const Client = makeGenericClientConstructor(definition as never, service)
  return new Client(`unix://${socket}`, credentials.createInsecure(), {
    'grpc.default_authority': 'localhost',
    'grpc.max_receive_message_length': 64 * 1024 * 1024,
    // A containerd that was just started again must not be waited for longer than it takes.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2000,
  }) as any
}

const callsOf = (service: Method['service']) =>
  Object.fromEntries(
    Object.entries(methods)
      .filter(([, method]) => method.service === service)
      .map(([key, method]) => [key, { method: method.name, input: method.input, output: method.output }]),
  )

export function createCri(socket: string): Cri {
  const clients = {
    RuntimeService: clientFor(socket, 'runtime.v1.RuntimeService', callsOf('RuntimeService')),
    ImageService: clientFor(socket, 'runtime.v1.ImageService', callsOf('ImageService')),
  }
  const events = clientFor(socket, 'containerd.services.events.v1.Events', {
    subscribe: { method: 'Subscribe', input: SubscribeRequest, output: Envelope, stream: true },
  })
  const containers = clientFor(socket, 'containerd.services.containers.v1.Containers', {
    list: { method: 'List', input: ListIdsRequest, output: ListIdsResponse },
  })

  const call = (key: string, method: Method) => (input: object, options?: { deadlineMs?: number }) =>
    new Promise((resolve, reject) => {
      const deadline = Date.now() + (options?.deadlineMs ?? method.deadlineMs)
      clients[method.service][key](
        input,
        new Metadata(),
        { deadline },
        (error: ServiceError | null, answer: unknown) =>
          error ? reject(new CriError(method.name, error)) : resolve(answer),
      )
    })

  const calls = Object.fromEntries(
    Object.entries(methods).map(([key, method]) => [key, call(key, method)]),
  ) as unknown as Call
  return {
    ...calls,
    subscribe(listener, lost) {
      const filters = ['topic=="/tasks/exit"', 'topic=="/tasks/oom"']
      const stream: ClientReadableStream<Decoded<typeof Envelope>> = events.subscribe({ filters }, inNamespace())
      let over = false
      const end = (error: Error) => {
        if (!over) lost(error)
        over = true
      }
      stream.on('data', (envelope: Decoded<typeof Envelope>) => {
        const event = taskEvent(envelope)
        if (event && !over) listener(event)
      })
      stream.on('error', end)
      stream.on('end', () => end(new Error('containerd ended the event stream')))
      return () => {
        over = true
        stream.cancel()
      }
    },
    containerIds: () =>
      new Promise((resolve, reject) => {
        const answered = (error: ServiceError | null, answer: Decoded<typeof ListIdsResponse>) =>
          error ? reject(new CriError('List', error)) : resolve(new Set(answer.containers.map(({ id }) => id)))
        containers.list({}, inNamespace(), { deadline: Date.now() + listDeadlineMs }, answered)
      }),
    close() {
      clients.RuntimeService.close()
      clients.ImageService.close()
      events.close()
      containers.close()
    },
  }
}

/** The exit of a container or sandbox itself; the end of an exec in it is nobody's concern. */
export function taskEvent(envelope: Decoded<typeof Envelope>): TaskEvent | undefined {
  if (envelope.namespace !== 'k8s.io' || !envelope.event) return undefined
  if (envelope.topic !== '/tasks/exit' && envelope.topic !== '/tasks/oom') return undefined
  const event = decode(TaskExit, envelope.event.value)
  if (envelope.topic === '/tasks/exit' && event.id !== event.containerId) return undefined
  return { topic: envelope.topic, containerId: event.containerId }
}
