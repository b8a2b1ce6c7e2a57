import assert from 'node:assert/strict'
import { test } from 'node:test'
import { machineConfList, podConfList, withAddress } from './cni.ts'

test('Pods get the lower half of the range, without masquerade', () => {
  const list = podConfList('1a2b', '10.42.0.0/16', '/state/cni-data', 1400)
  assert.deepEqual(list, {
    cniVersion: '1.0.0',
    name: 'tandem-1a2b',
    plugins: [
      {
        type: 'ptp',
        mtu: 1400,
        ipMasq: false,
        ipam: {
          type: 'host-local',
          dataDir: '/state/cni-data',
          ranges: [
            [{ subnet: '10.42.0.0/16', rangeStart: '10.42.0.2', rangeEnd: '10.42.127.255', gateway: '10.42.0.1' }],
          ],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
    ],
  })
})

test('a machine brings its address; the list itself stays as it is', () => {
  const list = machineConfList('1a2b', 1400)
  const [plugin] = withAddress(list, '10.42.128.1/16', '10.42.0.1').plugins
  assert.deepEqual((plugin!.ipam as any).addresses, [{ address: '10.42.128.1/16', gateway: '10.42.0.1' }])
  assert.deepEqual((list.plugins[0]!.ipam as any).addresses, [])
})
