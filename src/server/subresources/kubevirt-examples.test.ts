// The instance types and preferences that come with Tandem are valid, and machines can be made of each pair.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { startServer } from '../server.fixture.ts'

test('examples/instancetypes.yaml', async () => {
  const file = join(import.meta.dirname, '../../../examples/instancetypes.yaml')
  const objects = parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS())
  const tandem = await startServer()
  const plurals: Record<string, string> = {
    VirtualMachineClusterInstancetype: 'virtualmachineclusterinstancetypes',
    VirtualMachineClusterPreference: 'virtualmachineclusterpreferences',
  }
  const names: Record<string, string[]> = {}
  for (const object of objects) {
    await tandem.ok('POST', `/apis/instancetype.kubevirt.io/v1beta1/${plurals[object.kind]}`, object)
    names[object.kind] = [...(names[object.kind] ?? []), object.metadata.name]
  }
  const types = names.VirtualMachineClusterInstancetype!
  const preferences = names.VirtualMachineClusterPreference!
  assert.ok(types.includes('u1.medium') && types.includes('o1.8xlarge') && preferences.includes('debian'))
  const machine = (instancetype: string, preference: string) => ({
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'vm' },
    spec: {
      runStrategy: 'Halted',
      instancetype: { name: instancetype },
      preference: { name: preference },
      template: { spec: { domain: { devices: {} } } },
    },
  })
  const path = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines?dryRun=All'
  for (const preference of preferences) await tandem.ok('POST', path, machine('u1.large', preference))
  for (const type of types) await tandem.ok('POST', path, machine(type, 'cirros'))
})
