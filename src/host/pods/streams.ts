// What the node serves of Pods beside the objects: logs, exec, attach, port-forward.

import { ApiError } from '../../api/errors.ts'
import type { NodeStreams, WorkloadRef } from '../../api/streams.ts'
import type { Clock } from '../../base/clock.ts'
import type { Cri } from './cri/client.ts'
import { withFirstWords } from './first-words.ts'
import { type LogSource, readLog } from './logs.ts'
import { allContainers } from './pod.ts'
import type { ContainerRecord } from './records.ts'
import { isRunning, type PodView } from './view.ts'

export type PodStreams = Pick<NodeStreams, 'podLogs' | 'podExec' | 'podAttach' | 'podPortForward'>

export interface PodLookup {
  /** Undefined when this node knows no such Pod. */
  view(uid: string): PodView | undefined
}

export function createPodStreams(cri: Cri, lookup: PodLookup, clock: Clock): PodStreams {
  const viewOf = (pod: WorkloadRef): PodView => {
    const view = lookup.view(pod.uid)
    if (!view) throw new ApiError('NotFound', `pod "${pod.name}" does not run on this node`)
    return view
  }

  function runningContainer(pod: WorkloadRef, container: string | undefined): ContainerRecord {
    const view = viewOf(pod)
    const name = containerName(view, container)
    const record = view.containers.get(name)?.find(isRunning)
    if (!record) throw new ApiError('NotFound', `unable to upgrade connection: container not found ("${name}")`)
    return record
  }

  function logOf(pod: WorkloadRef, name: string, record: ContainerRecord): LogSource {
    return {
      path: record.logPath,
      now: () => clock.now(),
      // Nobody looks after the view of a Pod that is gone: what it says last stays.
      running: () =>
        lookup
          .view(pod.uid)
          ?.containers.get(name)
          ?.some(({ id, state }) => id === record.id && state === 'running') ?? false,
    }
  }

  return {
    async *podLogs(pod, options, signal) {
      const view = viewOf(pod)
      const name = containerName(view, options.container)
      const record = options.previous ? previousOf(view, name) : currentOf(view, name)
      yield* readLog(logOf(pod, name, record), options, signal)
    },
    async podExec(pod, { container, command, ...streams }) {
      const { id } = runningContainer(pod, container)
      const wanted = { ...streams, stderr: streams.stderr && !streams.tty }
      return await cri.openExec({ containerId: id, cmd: command, ...wanted })
    },
    async podAttach(pod, { container, ...streams }) {
      const record = runningContainer(pod, container)
      const wanted = { ...streams, stderr: streams.stderr && !streams.tty }
      const session = await cri.openAttach({ containerId: record.id, ...wanted })
      const view = viewOf(pod)
      const name = containerName(view, container)
      if (!allContainers(view.pod).find((one) => one.name === name)?.stdinOnce) return session
      const leaving = new AbortController()
      const close = () => {
        leaving.abort()
        session.close()
      }
      return withFirstWords({ ...session, close }, (stream) =>
        readLog(logOf(pod, name, record), { stream, follow: true }, leaving.signal),
      )
    },
    async podPortForward(pod, port) {
      const { sandbox } = viewOf(pod)
      if (!sandbox?.ready) throw new ApiError('NotFound', `pod "${pod.name}" is not running: no port can be forwarded`)
      return await cri.openPort(sandbox.id, port)
    },
  }
}

function containerName(view: PodView, asked: string | undefined): string {
  const names = allContainers(view.pod).map(({ name }) => name)
  const podName = view.pod.metadata.name
  if (asked !== undefined && asked !== '') {
    if (names.includes(asked)) return asked
    throw new ApiError('BadRequest', `container ${asked} is not valid for pod ${podName}`)
  }
  const main = view.pod.spec.containers.map(({ name }) => name)
  if (main.length === 1) return main[0]!
  const byDefault = view.pod.metadata.annotations?.['kubectl.kubernetes.io/default-container']
  if (byDefault && main.includes(byDefault)) return byDefault
  throw new ApiError(
    'BadRequest',
    `a container name must be specified for pod ${podName}, choose one of: [${names.join(' ')}]`,
  )
}

function currentOf(view: PodView, name: string): ContainerRecord {
  const record = view.containers.get(name)?.find(({ state }) => state !== 'created')
  if (record) return record
  const reason = view.waiting.get(name)?.reason ?? 'ContainerCreating'
  const why = /^(ErrImagePull|ImagePullBackOff)$/.test(reason) ? 'trying and failing to pull image' : reason
  throw new ApiError('BadRequest', `container "${name}" in pod "${view.pod.metadata.name}" is waiting to start: ${why}`)
}

function previousOf(view: PodView, name: string): ContainerRecord {
  const [newest, before] = view.containers.get(name) ?? []
  // Between two lives (back-off) the last one is the previous one, as lastState says.
  const record = view.waiting.has(name) && newest?.state === 'exited' ? newest : before
  if (record && record.state === 'exited') return record
  throw new ApiError(
    'BadRequest',
    `previous terminated container "${name}" in pod "${view.pod.metadata.name}" not found`,
  )
}
