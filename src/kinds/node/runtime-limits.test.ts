// Which Pods cannot run in which runtime.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limitsOfRuntime, resizeLimitOf } from './runtime-limits.ts'

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

test('what a micro-VM cannot give is told by name', () => {
  const one = (more: object) => ({ containers: [{ ...container, ...more }] })
  const refused: [object, RegExp][] = [
    [{ hostNetwork: true }, /^spec\.hostNetwork .*choose another runtimeClassName/],
    [{ hostPID: true }, /^spec\.hostPID /],
    [{ hostIPC: true }, /^spec\.hostIPC /],
    [{ volumes: [{ name: 'v', hostPath: { path: '/run/x', type: 'Socket' } }] }, /^volume v: a Socket /],
    [one({ securityContext: { privileged: true } }), /^container main: privileged /],
    [{ ephemeralContainers: [{ ...container, securityContext: { privileged: true } }] }, /privileged/],
    [one({ volumeDevices: [{ name: 'v', devicePath: '/dev/v' }] }), /use volumeMode: Filesystem/],
    [one({ volumeMounts: [{ name: 'v', mountPropagation: 'HostToContainer' }] }), /HostToContainer of v /],
    [one({ resources: { limits: { 'hugepages-2Mi': '2Mi' } } }), /hugepages-2Mi/],
    [{ securityContext: { appArmorProfile: { type: 'Localhost', localhostProfile: 'p' } } }, /AppArmor profile p /],
  ]
  for (const [spec, text] of refused) {
    const found = limitsOfRuntime('microvm', spec)
    assert.equal(found.length, 1, JSON.stringify(spec))
    assert.match(found[0]!, text)
  }
  const ordinary = {
    shareProcessNamespace: true,
    securityContext: { sysctls: [{ name: 'kernel.shm_rmid_forced', value: '1' }], fsGroup: 3 },
    // Without effect, as on any node that has no SELinux.
    containers: [
      { ...container, securityContext: { privileged: false, runAsUser: 5, seLinuxOptions: { level: 's0' } } },
    ],
    ephemeralContainers: [{ ...container, targetContainerName: 'main' }],
  }
  assert.deepEqual(limitsOfRuntime('microvm', ordinary), [])
  assert.match(resizeLimitOf('microvm') ?? '', /make the Pod anew/)
  assert.equal(resizeLimitOf('runsc'), undefined)
})

test('an ordinary Pod runs in gVisor', () => {
  const spec = {
    hostNetwork: true,
    securityContext: { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }], fsGroup: 3 },
    containers: [{ ...container, volumeMounts: [{ name: 'v', mountPath: '/v', mountPropagation: 'None' }] }],
  }
  assert.deepEqual(limitsOfRuntime('runsc', spec), [])
})
