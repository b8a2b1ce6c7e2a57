// Instance types decide, preferences only fill in.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldErrorBody } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { validateInstanceSpec } from '../kubevirt/instance-rules.ts'
import { expand, type Types } from './expand.ts'

const machine = (domain: object = {}, more: object = {}): ApiObject => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'vm', namespace: 'default' },
  spec: {
    runStrategy: 'Halted',
    instancetype: { name: 'u1.large' },
    preference: { name: 'linux' },
    template: {
      spec: {
        domain: { devices: {}, ...domain },
        volumes: [{ name: 'root', emptyDisk: { capacity: '1Gi' } }],
        ...more,
      },
    },
  },
})

const instancetype = { cpu: { guest: 4 }, memory: { guest: '8Gi' } }
const resultOf = (given: ApiObject, types: Types) => {
  const { machine, errors } = expand(given, types)
  return {
    spec: machine.spec.template.spec,
    errors: errors.map((one) => `${one.field}: ${fieldErrorBody(one)}`),
    machine,
  }
}

test('an instance type is processor and memory, and the machine no longer names it', () => {
  const { spec, errors, machine: whole } = resultOf(machine(), { instancetype })
  assert.deepEqual(errors, [])
  assert.deepEqual(spec.domain.cpu, { sockets: 4, cores: 1, threads: 1 })
  assert.deepEqual(spec.domain.memory, { guest: '8Gi' })
  assert.deepEqual(Object.keys(whole.spec), ['runStrategy', 'template'])
  assert.deepEqual(validateInstanceSpec(spec, 'spec'), [])
})

test('topology as the preference would have it', () => {
  const topology = (cpu: object) => {
    const { spec, errors } = resultOf(machine(), { instancetype, preference: { cpu } })
    if (errors.length) return errors[0]
    const { sockets, cores, threads } = spec.domain.cpu
    return [sockets, cores, threads]
  }
  assert.deepEqual(topology({ preferredCPUTopology: 'preferCores' }), [1, 4, 1])
  assert.deepEqual(topology({ preferredCPUTopology: 'threads' }), [1, 1, 4])
  assert.deepEqual(topology({ preferredCPUTopology: 'any' }), [4, 1, 1])
  assert.deepEqual(topology({ preferredCPUTopology: 'spread' }), [2, 2, 1])
  const across = (value: string) => topology({ preferredCPUTopology: 'spread', spreadOptions: { across: value } })
  assert.deepEqual(across('SocketsCoresThreads'), [1, 2, 2])
  assert.deepEqual(across('CoresThreads'), [1, 2, 2])
  assert.match(
    String(topology({ preferredCPUTopology: 'spread', spreadOptions: { ratio: 3 } })),
    /4 vCPUs provided by the instance type are not divisible by .*Ratio of 3 provided by the preference/,
  )
})

test('overcommitted memory is asked for in part', () => {
  const { spec } = resultOf(machine(), {
    instancetype: { cpu: { guest: 1 }, memory: { guest: '4Gi', overcommitPercent: 50 } },
  })
  assert.deepEqual(spec.domain.resources.requests, { memory: '2Gi' })
})

test('a machine that says what its instance type says is refused', () => {
  const conflicts = (domain: object) => resultOf(machine(domain), { instancetype }).errors
  for (const [domain, field] of [
    [{ cpu: { sockets: 1 } }, 'domain.cpu.sockets'],
    [{ cpu: { cores: 2 } }, 'domain.cpu.cores'],
    [{ memory: { guest: '1Gi' } }, 'domain.memory.guest'],
    [{ resources: { requests: { memory: '1Gi' } } }, 'domain.resources.requests.memory'],
    [{ resources: { limits: { cpu: '1' } } }, 'domain.resources.limits.cpu'],
  ] as const) {
    const at = `spec.template.spec.${field}`
    const [error, ...others] = conflicts(domain)
    assert.deepEqual(others, [])
    assert.ok(error?.startsWith(at) && error.endsWith(`VM field(s) ${at} conflicts with selected instance type`), error)
  }
  // What it does not decide, the machine may.
  assert.deepEqual(conflicts({ cpu: { model: 'Nehalem' } }), [])
})

test('preferences fill in what the machine leaves open', () => {
  const preference = {
    devices: {
      preferredDiskBus: 'virtio',
      preferredCdromBus: 'scsi',
      preferredInterfaceModel: 'e1000',
      preferredInterfaceMasquerade: {},
      preferredRng: {},
      preferredAutoattachInputDevice: true,
      preferredInputType: 'tablet',
      preferredInputBus: 'virtio',
    },
    features: { preferredSmm: { enabled: true } },
    firmware: { preferredEfi: { secureBoot: true } },
    machine: { preferredMachineType: 'pc-q35-7.2' },
    clock: { preferredClockOffset: { utc: {} }, preferredTimer: { hpet: { present: false } } },
    preferredTerminationGracePeriodSeconds: 5,
  }
  const { spec, errors } = resultOf(machine({ cpu: { sockets: 1 }, memory: { guest: '1Gi' } }), { preference })
  assert.deepEqual(errors, [])
  const { devices, machine: type, firmware, clock } = spec.domain
  assert.deepEqual(devices.disks, [{ name: 'root', disk: { bus: 'virtio' } }])
  assert.deepEqual(devices.interfaces, [{ name: 'default', model: 'e1000', masquerade: {} }])
  assert.deepEqual(devices.inputs, [{ name: 'default-0', bus: 'virtio', type: 'tablet' }])
  assert.deepEqual([type, firmware], [{ type: 'pc-q35-7.2' }, { bootloader: { efi: { secureBoot: true } } }])
  assert.deepEqual(clock, { utc: {}, timer: { hpet: { present: false } } })
  assert.equal(spec.terminationGracePeriodSeconds, 5)
  assert.deepEqual(validateInstanceSpec(spec, 'spec'), [])
})

test('preferences never override', () => {
  const own = {
    machine: { type: 'pc' },
    firmware: { bootloader: { bios: {} } },
    devices: {
      disks: [{ name: 'root', disk: { bus: 'sata' } }],
      interfaces: [{ name: 'default', bridge: {}, model: 'virtio' }],
      rng: {},
    },
  }
  const preference = {
    devices: { preferredDiskBus: 'virtio', preferredInterfaceModel: 'e1000', preferredInterfaceMasquerade: {} },
    firmware: { preferredEfi: {} },
    machine: { preferredMachineType: 'q35' },
    preferredTerminationGracePeriodSeconds: 5,
  }
  const given = machine(own, { networks: [{ name: 'default', pod: {} }], terminationGracePeriodSeconds: 0 })
  const { spec } = resultOf(given, { preference })
  assert.deepEqual(spec.domain, own)
  assert.equal(spec.terminationGracePeriodSeconds, 0)
})

test('what a preference requires must be there', () => {
  const preference = { requirements: { cpu: { guest: 8 }, memory: { guest: '16Gi' } } }
  assert.deepEqual(resultOf(machine(), { instancetype, preference }).errors, [
    'spec.instancetype: Invalid value: 4: insufficient CPU resources of 4 vCPU provided by instance type, preference requires 8 vCPU',
    'spec.instancetype: Invalid value: "8Gi": insufficient Memory resources of 8Gi provided by instance type, preference requires 16Gi',
  ])
  const [cpu] = resultOf(machine({ cpu: { sockets: 2 }, memory: { guest: '16Gi' } }), { preference }).errors
  assert.match(
    cpu!,
    /insufficient CPU resources of 2 vCPU provided by VirtualMachine, preference requires 8 vCPU provided as sockets/,
  )
})
