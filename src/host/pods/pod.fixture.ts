// Pods and what is known about them, for the tests of this room.

import type { PodObject } from './pod.ts'
import type { ContainerRecord, SandboxRecord } from './records.ts'
import type { PodView } from './view.ts'

export const uid = '7f3d2c1b-0000-4000-8000-000000000001'
export const start = Date.UTC(2026, 0, 1)

export function podOf(spec: object = {}, more: object = {}): PodObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web',
      namespace: 'shop',
      uid,
      resourceVersion: '7',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { app: 'web' },
      ...more,
    },
    spec: { containers: [{ name: 'main', image: 'nginx:1' }], restartPolicy: 'Always', ...spec } as PodObject['spec'],
  }
}

export const sandboxOf = (more: Partial<SandboxRecord> = {}): SandboxRecord => ({
  id: 'sandbox-0',
  attempt: 0,
  handler: '',
  ready: true,
  createdAt: start,
  addresses: ['10.244.0.5'],
  ...more,
})

export const recordOf = (name: string, more: Partial<ContainerRecord> = {}): ContainerRecord => ({
  id: `${name}-${more.restartCount ?? 0}`,
  name,
  sandboxId: 'sandbox-0',
  restartCount: 0,
  state: 'running',
  startedAt: start + 1000,
  finishedAt: more.state === 'exited' ? start + 2000 : 0,
  exitCode: 0,
  reason: '',
  message: '',
  image: 'docker.io/library/nginx:1',
  imageId: 'sha256:1',
  hash: '',
  logPath: '',
  ...more,
})

export const exited = (name: string, exitCode: number, more: Partial<ContainerRecord> = {}): ContainerRecord =>
  recordOf(name, { state: 'exited', exitCode, ...more })

export function viewOf(pod: PodObject, records: ContainerRecord[] = [], more: Partial<PodView> = {}): PodView {
  const containers = new Map<string, ContainerRecord[]>()
  for (const record of records) containers.set(record.name, [...(containers.get(record.name) ?? []), record])
  return {
    pod,
    sandbox: sandboxOf(),
    containers,
    waiting: new Map(),
    probes: new Map(),
    busy: new Set(),
    sandboxBusy: false,
    ended: undefined,
    terminating: false,
    startTime: start,
    granted: new Map(),
    resize: {},
    ...more,
  }
}
