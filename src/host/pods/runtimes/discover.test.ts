// Runtimes that are found, and what is said of those that are not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runtimesIn } from './discover.ts'
import { isRecent } from './gvisor.ts'
import { quickLook } from './readiness.ts'

test('runtimes of an administrator are read from containerd’s own settings', () => {
  const found = runtimesIn(`
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "pause:3"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia] # cards
    runtime_type = "io.containerd.runc.v2"
    privileged_without_host_devices = false
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]
      BinaryName = "/usr/bin/nvidia-container-runtime"
      SystemdCgroup = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'kata-qemu']
    runtime_type = 'io.containerd.kata-qemu.v2'
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.empty]
[plugins."io.containerd.grpc.v1.cri".registry]
  runtime_type = "no"
`)
  assert.deepEqual(found, {
    nvidia: {
      type: 'io.containerd.runc.v2',
      options: { BinaryName: '/usr/bin/nvidia-container-runtime', SystemdCgroup: true },
    },
    'kata-qemu': { type: 'io.containerd.kata-qemu.v2' },
  })
})

test('what is missing is told with what to do', () => {
  const runtime = { type: 'x' }
  const none = quickLook({ runtime, programs: ['no-such-program'], remedy: 'apt-get install it' })
  assert.deepEqual(none, { ready: 'False', reason: 'no-such-program is missing: apt-get install it' })
  const settings = quickLook({ runtime, programs: ['sh'], remedy: 'write them', configuration: '/no/such/file' })
  assert.deepEqual(settings, { ready: 'False', reason: 'its settings /no/such/file are missing: write them' })
  assert.equal(quickLook({ runtime, programs: ['sh'], remedy: '' }).ready, 'True')
})

test('a runsc that is too old is not used', () => {
  assert.equal(isRecent('runsc version 0.0~20221219.0\nspec: 1.0.2-dev\n'), false)
  assert.equal(isRecent('runsc version 0.0~20240729.0\nspec: 1.2.0\n'), true)
  assert.equal(isRecent('runsc version release-20250407.0\n'), true)
  assert.equal(isRecent('no version at all'), false)
})
