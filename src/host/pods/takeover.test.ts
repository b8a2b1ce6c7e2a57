// What a new Tandem makes of what it finds in the runtime.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, encode } from '../../wire/protobuf.ts'
import type { Cri } from './cri/client.ts'
import { ContainerStatus, containerState } from './cri/messages.ts'
import { podOf } from './pod.fixture.ts'
import { takeOver } from './takeover.ts'

/** Holds one container, of which containerd 1.6.20 says so when the start of its shim is cut off. */
const failed = decode(
  ContainerStatus,
  encode(ContainerStatus, {
    id: 'one',
    metadata: { name: 'main', attempt: 0 },
    state: containerState.exited,
    exitCode: 128,
    reason: 'StartError',
    message: 'failed to create containerd task: failed to start shim: start failed: : signal: killed: unknown',
  }),
)
const cri = {
  listPodSandbox: async () => ({ items: [] }),
  listContainers: async () => ({ containers: [{ id: 'one', podSandboxId: 'sandbox' }] }),
  containerStatus: async () => ({ status: failed }),
} as unknown as Cri

const stateOf = async (status: object) =>
  (await takeOver(cri, { ...podOf(), status } as never)).containers.get('main')?.[0]?.state

test('a start that failed and was told to nobody was cut off: the container never ran', async () => {
  assert.equal(await stateOf({}), 'created')
  assert.equal(await stateOf({ containerStatuses: [{ name: 'main', state: { waiting: {} } }] }), 'created')
})

test('a failure that the status of the Pod tells stays one', async () => {
  const terminated = { exitCode: 128, containerID: 'containerd://one' }
  assert.equal(await stateOf({ containerStatuses: [{ name: 'main', state: { terminated } }] }), 'exited')
  const waiting = { reason: 'CrashLoopBackOff' }
  const status = { name: 'main', state: { waiting }, lastState: { terminated } }
  assert.equal(await stateOf({ containerStatuses: [status] }), 'exited')
  assert.equal(await stateOf({ initContainerStatuses: [status] }), 'exited')
})
