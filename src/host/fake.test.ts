import type { StoredObject } from '../api/meta.ts'
import { createFakeDriver } from './fake.ts'
import { workloadContract } from './workload.contract.ts'

const object = (kind: string, spec: object): StoredObject => ({
  apiVersion: 'v1',
  kind,
  metadata: {
    name: 'web',
    namespace: 'default',
    uid: 'u1',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec,
})

workloadContract('fake pods', async () => ({
  driver: createFakeDriver('Pod', 'node'),
  object: object('Pod', { containers: [{ name: 'web', image: 'web' }] }),
  async close() {},
}))

workloadContract('fake machines', async () => ({
  driver: createFakeDriver('VirtualMachineInstance', 'node'),
  object: object('VirtualMachineInstance', { domain: {} }),
  async close() {},
}))
