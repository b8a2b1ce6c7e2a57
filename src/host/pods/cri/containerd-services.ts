// containerd's own services, for what CRI has no call for (api/services/{containers,events,tasks}/v1 and api/events/task.proto
// of containerd 1.6).

import { type Decoded, decode, type Message, message } from '../../../wire/protobuf.ts'
import { Empty } from './messages.ts'

export interface Service<I extends Message = Message, O extends Message = Message> {
  path: string
  input: I
  output: O
  deadlineMs: number
  metadata: Record<string, string>
}

/** containerd keeps the containers of CRI under this name. */
const namespace = 'k8s.io'
export const inNamespace = { 'containerd-namespace': namespace }

const service = <I extends Message, O extends Message>(path: string, input: I, output: O): Service<I, O> => ({
  path: `/containerd.services.${path}`,
  input,
  output,
  deadlineMs: 30_000,
  metadata: inNamespace,
})

const ListRequest = message({ filters: [1, 'string', 'list'] })
const Containers = message({ containers: [1, message({ id: [1, 'string'] }), 'list'] })
const KillRequest = message({ containerId: [1, 'string'], execId: [2, 'string'], signal: [3, 'uint32'] })
const TaskRequest = message({ containerId: [1, 'string'] })

export const listContainers = service('containers.v1.Containers/List', ListRequest, Containers)
export const killTask = service('tasks.v1.Tasks/Kill', KillRequest, Empty)
/** Answers when the task has ended. */
export const waitForTask = service('tasks.v1.Tasks/Wait', TaskRequest, Empty)
export const deleteTask = service('tasks.v1.Tasks/Delete', TaskRequest, Empty)

const Timestamp = message({ seconds: [1, 'int64'], nanos: [2, 'int32'] })
const Any = message({ typeUrl: [1, 'string'], value: [2, 'bytes'] })
export const subscribePath = '/containerd.services.events.v1.Events/Subscribe'
export const SubscribeRequest = message({ filters: [1, 'string', 'list'] })
export const Envelope = message({
  timestamp: [1, Timestamp],
  namespace: [2, 'string'],
  topic: [3, 'string'],
  event: [4, Any],
})
export const TaskExit = message({
  containerId: [1, 'string'],
  id: [2, 'string'],
  pid: [3, 'uint32'],
  exitStatus: [4, 'uint32'],
})

export type TaskEvent = { topic: '/tasks/exit' | '/tasks/oom'; containerId: string }

/** The exit of a container or sandbox itself; the end of an exec in it is nobody's concern. */
export function taskEvent(envelope: Decoded<typeof Envelope>): TaskEvent | undefined {
  if (envelope.namespace !== namespace || !envelope.event) return undefined
  if (envelope.topic !== '/tasks/exit' && envelope.topic !== '/tasks/oom') return undefined
  const event = decode(TaskExit, envelope.event.value)
  if (envelope.topic === '/tasks/exit' && event.id !== event.containerId) return undefined
  return { topic: envelope.topic, containerId: event.containerId }
}
