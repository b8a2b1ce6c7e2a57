// What presets give to new instances, and what they leave as it is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ApiObject } from '../../api/meta.ts'
import { applyPresets, withoutEffect } from './presets.ts'

const preset = (name: string, domain: object, labels: object = { size: 'small' }): ApiObject => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstancePreset',
  metadata: { name },
  spec: { selector: { matchLabels: labels }, domain },
})
const instance = (domain: object | undefined, metadata: object = {}): ApiObject => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachineInstance',
  metadata: { name: 'guest', labels: { size: 'small' }, ...metadata },
  spec: { ...(domain && { domain }) },
})

test('an instance gets what it leaves out, and says of whom', () => {
  const guest = instance(undefined)
  delete guest.spec
  const presets = [
    preset('memory', { resources: { requests: { memory: '64M' } }, devices: {} }),
    preset('cpu', { cpu: { cores: 4 }, clock: { utc: {}, timer: { hpet: { present: false } } } }),
    preset('dog', { devices: { watchdog: { name: 'dog', i6300esb: { action: 'poweroff' } } } }),
    preset('others', { cpu: { cores: 8 } }, { size: 'large' }),
  ]
  assert.deepEqual(applyPresets(guest, presets), [])
  assert.deepEqual(guest.spec.domain, {
    resources: { requests: { memory: '64M' } },
    cpu: { cores: 4 },
    clock: { utc: {}, timer: { hpet: { present: false } } },
    devices: { watchdog: { name: 'dog', i6300esb: { action: 'poweroff' } } },
  })
  assert.deepEqual(Object.keys(guest.metadata.annotations!).sort(), [
    'virtualmachinepreset.kubevirt.io/cpu',
    'virtualmachinepreset.kubevirt.io/dog',
    'virtualmachinepreset.kubevirt.io/memory',
  ])
})

test('what an instance says itself stays, and its author is told', () => {
  const guest = instance({ cpu: { cores: 2 }, resources: { requests: { memory: '1Gi' } } })
  const told = applyPresets(guest, [preset('big', { cpu: { cores: 4 }, features: { acpi: {} } })])
  assert.deepEqual(guest.spec.domain.cpu, { cores: 2 })
  assert.deepEqual(guest.spec.domain.features, { acpi: {} })
  assert.deepEqual(told, [
    'VirtualMachineInstancePreset big is not applied as a whole: spec.cpu: {"cores":4} != {"cores":2}',
  ])
  assert.equal(guest.metadata.annotations!['virtualmachinepreset.kubevirt.io/big'], 'kubevirt.io/v1')
  const unchanged = instance({ cpu: { cores: 2 } })
  applyPresets(unchanged, [preset('big', { cpu: { cores: 4 } })])
  assert.equal(unchanged.metadata.annotations, undefined)
})

test('presets that contradict each other refuse the instance; one that is excluded takes no part', () => {
  const presets = [preset('two', { cpu: { cores: 2 } }), preset('four', { cpu: { cores: 4 } })]
  assert.throws(() => applyPresets(instance({}), presets), {
    message: `VirtualMachinePresets cannot be applied due to conflicts: presets 'four' and 'two' conflict: spec.cpu: {"cores":4} != {"cores":2}`,
  })
  const excluded = instance(undefined, {
    annotations: { 'virtualmachineinstancepresets.admission.kubevirt.io/exclude': 'true' },
  })
  assert.deepEqual(applyPresets(excluded, presets), [])
  assert.equal(excluded.spec.domain, undefined)
})

test('fields that no instance gets are named', () => {
  const domain = { memory: { guest: '128Mi' }, cpu: { cores: 1 }, devices: { rng: {}, disks: [{}] }, resources: {} }
  assert.deepEqual(withoutEffect(domain), ['memory', 'devices.rng', 'devices.disks'])
})
