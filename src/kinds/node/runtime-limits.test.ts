// Which Pods cannot run in which runtime.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limitsOfRuntime } from './runtime-limits.ts'

const container = { name: 'main', image: 'x' }

test('what gVisor cannot give is told by name', () => {
  const refused: [object, RegExp][] = [
    [{ shareProcessNamespace: true }, /^spec\.shareProcessNamespace /],
    [{ hostPID: true }, /^spec\.hostPID /],
    [{ hostIPC: true }, /^spec\.hostIPC /],
    [{ securityContext: { sysctls: [{ name: 'kernel.shm_rmid_forced', value: '1' }] } }, /kernel\.shm_rmid_forced/],
    [{ containers: [{ ...container, volumeDevices: [{ name: 'v', devicePath: '/dev/v' }] }] }, /volumeDevices/],
    [{ initContainers: [{ ...container, volumeMounts: [{ name: 'v', mountPropagation: 'Bidirectional' }] }] }, /of v /],
    [{ ephemeralContainers: [{ ...container, targetContainerName: 'web' }] }, /processes of web /],
  ]
  for (const [spec, text] of refused) {
    const found = limitsOfRuntime('runsc', spec)
    assert.equal(found.length, 1, JSON.stringify(spec))
    assert.match(found[0]!, text)
    assert.deepEqual(limitsOfRuntime('runc', spec), [])
  }
})

test('an ordinary Pod runs in gVisor', () => {
  const spec = {
    hostNetwork: true,
    securityContext: { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }], fsGroup: 3 },
    containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v', mountPropagation: 'None' }] }],
  }
  assert.deepEqual(limitsOfRuntime('runsc', spec), [])
})
