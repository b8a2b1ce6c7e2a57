// Which devices of the machine a guest gets.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseDevices } from './host-devices.ts'

const permitted = [
  { resourceName: 'nvidia.com/T4', pciVendorSelector: '10DE:1EB8' },
  { resourceName: 'nvidia.com/GRID', mdevNameSelector: 'GRID T4-1Q' },
]
const inventory = {
  pci: ['0000:01:00.0', '0000:02:00.0'].map((address) => ({ address, vendor: '10de:1eb8' })),
  mdev: [{ uuid: '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001', type: 'GRID T4-1Q' }],
}
const asked = (...names: string[]) => ({
  devices: { gpus: names.map((deviceName, i) => ({ name: `g${i}`, deviceName })) },
})

test('each gets another device, and none that is taken', () => {
  assert.deepEqual(chooseDevices(asked('nvidia.com/T4', 'nvidia.com/T4'), { permitted }, inventory, new Set()), [
    { name: 'g0', pci: '0000:01:00.0' },
    { name: 'g1', pci: '0000:02:00.0' },
  ])
  assert.throws(
    () => chooseDevices(asked('nvidia.com/T4', 'nvidia.com/T4'), { permitted }, inventory, new Set(['0000:01:00.0'])),
    { reason: 'Unschedulable', message: /1 Insufficient nvidia\.com\/T4\..*10DE:1EB8 and bound to vfio-pci/ },
  )
  assert.deepEqual(chooseDevices(asked('nvidia.com/GRID'), { permitted }, inventory, new Set()), [
    { name: 'g0', mdev: '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001' },
  ])
})

test('what nobody permitted is not had', () => {
  const chosen = (devices: object) => () => chooseDevices({ devices }, { permitted }, inventory, new Set())
  const one = [{ name: 'one', deviceName: 'intel.com/qat' }]
  const message = 'intel.com/qat is not permitted in permittedHostDevices configuration'
  assert.throws(chosen({ gpus: one }), { message: `GPU ${message}` })
  assert.throws(chosen({ hostDevices: one }), { message: `HostDevice ${message}` })
})
