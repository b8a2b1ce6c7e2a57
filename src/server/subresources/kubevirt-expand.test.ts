// Machines with instance types at the API: what is refused, and what expand-spec shows.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer, type TestServer } from '../server.fixture.ts'

const types = '/apis/instancetype.kubevirt.io/v1beta1'
const machines = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines'
const doors = '/apis/subresources.kubevirt.io/v1/namespaces/default'

const machine = (spec: object, domain: object = {}) => ({
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'vm' },
  spec: { runStrategy: 'Halted', template: { spec: { domain: { devices: {}, ...domain } } }, ...spec },
})

async function server(): Promise<TestServer> {
  const tandem = await startServer()
  const kinds = { virtualmachineclusterinstancetypes: 'VirtualMachineClusterInstancetype' }
  for (const [plural, kind] of Object.entries(kinds))
    await tandem.ok('POST', `${types}/${plural}`, {
      apiVersion: 'instancetype.kubevirt.io/v1beta1',
      kind,
      metadata: { name: 'u1.small' },
      spec: { cpu: { guest: 1 }, memory: { guest: '2Gi' } },
    })
  return tandem
}

test('a machine names its instance type and is expanded', async () => {
  const tandem = await server()
  const made = await tandem.ok('POST', machines, machine({ instancetype: { name: 'u1.small' } }))
  assert.equal(made.spec.instancetype.kind, 'VirtualMachineClusterInstancetype')
  const whole = await tandem.ok('GET', `${doors}/virtualmachines/vm/expand-spec`)
  assert.equal(whole.spec.instancetype, undefined)
  assert.deepEqual(whole.spec.template.spec.domain.memory, { guest: '2Gi' })
  const given = machine({ instancetype: { name: 'u1.small' } })
  const other = await tandem.ok('PUT', `${doors}/expand-vm-spec`, given)
  assert.deepEqual(other.spec.template.spec.domain.cpu, { sockets: 1, cores: 1, threads: 1 })
  assert.equal(await tandem.refused(400, 'PUT', `${doors}/expand-vm-spec`, {}), 'Object is not a valid VirtualMachine')
  const elsewhere = { ...given, metadata: { name: 'vm', namespace: 'other' } }
  assert.equal(
    await tandem.refused(400, 'PUT', `${doors}/expand-vm-spec`, elsewhere),
    'VM namespace must be empty or default',
  )
})

test('conflicts and types that are not there are refused', async () => {
  const tandem = await server()
  const both = machine({ instancetype: { name: 'u1.small' } }, { memory: { guest: '1Gi' } })
  assert.match(
    await tandem.refused(422, 'POST', machines, both),
    /VM field\(s\) spec.template.spec.domain.memory.guest conflicts with selected instance type/,
  )
  assert.match(
    await tandem.refused(422, 'POST', machines, machine({ instancetype: { name: 'none' } })),
    /Failure to find instancetype: virtualmachineclusterinstancetypes.instancetype.kubevirt.io "none" not found/,
  )
  assert.match(
    await tandem.refused(422, 'POST', machines, machine({ instancetype: { name: 'x', inferFromVolume: 'y' } })),
    /Name should not be provided when InferFromVolume is used within the matcher/,
  )
  assert.match(
    await tandem.refused(422, 'POST', machines, machine({ instancetype: { name: 'u1.small', kind: 'Pod' } })),
    /Kind must be one of/,
  )
})
