// The runtime's words about a container, in ours.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, type Encodable, encode } from '../../wire/protobuf.ts'
import { ContainerStatus, containerState } from './cri/messages.ts'
import { containerRecord } from './records.ts'

const record = (status: Encodable<typeof ContainerStatus>) =>
  containerRecord(decode(ContainerStatus, encode(ContainerStatus, { id: 'c', ...status })), 'sandbox-0')

// Messages of containerd 1.6.20.
const startError = { state: containerState.exited, exitCode: 128, reason: 'StartError' }

test('a container whose start was called off by the end of Tandem never ran', () => {
  const message = 'failed to create containerd task: failed to create shim task: context canceled: unknown'
  assert.equal(record({ ...startError, message }).state, 'created')
})

test('a container that was started in a sandbox that had just ended never ran', () => {
  const message =
    'failed to create shim task: OCI runtime create failed: runc create failed: unable to create new parent process: namespace path: lstat /proc/22662/ns/ipc: no such file or directory: unknown'
  assert.equal(record({ ...startError, message }).state, 'created')
})

test('a container that could not be started has failed', () => {
  const message = 'failed to create shim task: OCI runtime create failed: exec: "x": executable file not found in $PATH'
  assert.equal(record({ ...startError, message }).state, 'exited')
})

test('what a container itself says about its end calls nothing off', () => {
  const message = 'context canceled'
  assert.equal(record({ ...startError, reason: 'Error', exitCode: 1, message }).state, 'exited')
})
