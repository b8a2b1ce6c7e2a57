// A driver that only pretends: workloads "run" in memory at once. For `npm run dev` and whole-platform tests, where no
// root and nothing installed is the point.

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type Clock, realClock } from '../base/clock.ts'
import type { FoundWorkload, SyncResult, WorkloadDriver } from './workload.ts'

export interface FakeDriver extends WorkloadDriver {
  /** What would run, by uid. */
  running(): string[]
  /** Something happens to a workload by itself: it ends with this exit code. */
  end(uid: string, exitCode: number): void
}

type StatusOf = (
  object: StoredObject,
  state: { address: string; node: string; ended?: number; since: string },
) => Record<string, unknown>

interface FakeWorkload extends FoundWorkload {
  node: string
  address: string
  since: string
  ended?: number
}

export function createFakeDriver(
  kind: 'Pod' | 'VirtualMachineInstance',
  nodeName: string,
  clock: Clock = realClock,
): FakeDriver {
  const workloads = new Map<string, FakeWorkload>()
  let listener: (uid: string) => void = () => {}
  let nextAddress = 1
  const statusOf: StatusOf = kind === 'Pod' ? podStatus : machineStatus

  return {
    kind,
    async start() {},
    conditions: () => [{ type: 'Ready', status: 'True', reason: 'Pretending', message: 'nothing really runs here' }],
    found: async () => [...workloads.values()].map(({ uid, namespace, name }) => ({ uid, namespace, name })),
    async sync(object): Promise<SyncResult> {
      const { uid, namespace = '', name, deletionTimestamp } = object.metadata
      if (deletionTimestamp) {
        workloads.delete(uid)
        return {}
      }
      let workload = workloads.get(uid)
      if (!workload) {
        const address = `10.42.${nextAddress >> 8}.${nextAddress++ & 255}`
        workload = { uid, namespace, name, node: nodeName, address, since: formatTime(clock.now()) }
        workloads.set(uid, workload)
      }
      const status = statusOf(object, workload)
      return JSON.stringify(status) === JSON.stringify(object.status) ? {} : { status }
    },
    stopped: (uid) => !workloads.has(uid),
    async remove({ uid }) {
      workloads.delete(uid)
    },
    onChange(next) {
      listener = next
    },
    async stop() {},
    running: () => [...workloads.values()].filter(({ ended }) => ended === undefined).map(({ uid }) => uid),
    end(uid, exitCode) {
      const workload = workloads.get(uid)
      if (!workload) return
      workload.ended = exitCode
      listener(uid)
    },
  }
}

const podStatus: StatusOf = (pod, { address, since, ended }) => {
  const runs = ended === undefined
  const condition = (type: string, status: boolean) => ({
    type,
    status: status ? 'True' : 'False',
    lastProbeTime: null,
    lastTransitionTime: since,
  })
  const scheduled = (pod.status?.conditions ?? []).filter(({ type }: { type: string }) => type === 'PodScheduled')
  return {
    ...pod.status,
    phase: runs ? 'Running' : ended === 0 ? 'Succeeded' : 'Failed',
    conditions: [
      ...scheduled,
      condition('Initialized', true),
      condition('ContainersReady', runs),
      condition('Ready', runs),
    ],
    podIP: address,
    podIPs: [{ ip: address }],
    startTime: since,
    containerStatuses: pod.spec.containers.map(({ name, image }: { name: string; image: string }) => ({
      name,
      image,
      imageID: image,
      containerID: `fake://${pod.metadata.uid}/${name}`,
      ready: runs,
      started: runs,
      restartCount: 0,
      lastState: {},
      state: runs
        ? { running: { startedAt: since } }
        : {
            terminated: {
              exitCode: ended,
              reason: ended === 0 ? 'Completed' : 'Error',
              startedAt: since,
              finishedAt: since,
            },
          },
    })),
  }
}

const machineStatus: StatusOf = (machine, { address, since, ended, node }) => {
  const runs = ended === undefined
  return {
    ...machine.status,
    phase: runs ? 'Running' : ended === 0 ? 'Succeeded' : 'Failed',
    nodeName: node,
    interfaces: [{ name: 'default', ipAddress: address, ipAddresses: [address] }],
    conditions: [
      {
        type: 'Ready',
        status: runs ? 'True' : 'False',
        lastProbeTime: null,
        lastTransitionTime: since,
        ...(!runs && { reason: 'GuestNotRunning', message: 'Guest VM is not reported as running' }),
      },
    ],
  }
}
