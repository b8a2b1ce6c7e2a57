import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { silentLogger } from '../../base/log.ts'
import type { Informer, InformerFactory, InformerHandler } from '../../client/informer.ts'
import { keepAddresses } from './address-keeper.ts'

function fakeInformer() {
  const objects = new Map<string, StoredObject>()
  const handlers: InformerHandler[] = []
  return {
    objects,
    informer: {
      get: (key: string) => objects.get(key),
      synced: async () => {},
      addHandler: (handler: InformerHandler) => void handlers.push(handler),
    } as unknown as Informer,
    remove(key: string) {
      const last = objects.get(key)!
      objects.delete(key)
      for (const handler of handlers) handler.removed(last)
    },
  }
}

const object = (name: string) => ({ metadata: { namespace: 'default', name } }) as unknown as StoredObject

test('an address goes when neither the VirtualMachine nor an instance is left', async () => {
  const machines = fakeInformer()
  const instances = fakeInformer()
  machines.objects.set('default/db', object('db'))
  instances.objects.set('default/db', object('db'))
  const released: string[] = []
  await keepAddresses({
    informers: {
      informer: ({ resource }: { resource: string }) =>
        (resource === 'virtualmachines' ? machines : instances).informer,
    } as unknown as InformerFactory,
    network: {
      reservedAddresses: () => ['default/db', 'default/forgotten'],
      releaseAddress: async (namespace, name) => void released.push(`${namespace}/${name}`),
    },
    log: silentLogger,
  })
  assert.deepEqual(released, ['default/forgotten'])
  instances.remove('default/db')
  assert.deepEqual(released, ['default/forgotten'], 'the VirtualMachine keeps it')
  machines.remove('default/db')
  assert.deepEqual(released, ['default/forgotten', 'default/db'])
})
