// Who may clone from other namespaces, and have data fetched from the machine itself.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Authorizer } from '../auth/authz.ts'
import type { AdmissionRequest } from './admission.ts'
import { dataSources } from './data-sources.ts'
import type { Lookup } from './lookup.ts'

const golden = { metadata: { name: 'debian', namespace: 'golden' }, spec: { source: { pvc: { name: 'debian-12' } } } }
const lookup = {
  get: (_: string, __: string, namespace: string, name: string) =>
    namespace === 'golden' && name === 'debian' ? golden : undefined,
} as unknown as Lookup

const may = (rights: string): Authorizer =>
  ({
    decide: (_: unknown, { verb, resource, subresource, namespace }: any) => ({
      allowed: rights.split(', ').includes(`${verb} ${resource}/${subresource} ${namespace}`),
    }),
  }) as unknown as Authorizer

function outcome(resource: string, object: object, right = '', old?: object): string {
  const [plural, ...group] = resource.split('.')
  const request = {
    operation: old ? 'UPDATE' : 'CREATE',
    subresource: '',
    resource: { groupResource: resource, plural, group: group.join('.'), kind: { kind: 'Thing' } },
    object: { metadata: {}, ...object },
    ...(old && { old: { metadata: {}, ...old } }),
    namespace: 'mine',
    name: 'thing',
    user: { name: 'eve', groups: [] },
  } as unknown as AdmissionRequest
  try {
    dataSources(may(right), lookup).validate!(request)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

const volumes = 'datavolumes.cdi.kubevirt.io'
const from = (namespace: string) => ({ spec: { source: { pvc: { namespace, name: 'disk' } } } })
const refused = /User eve has insufficient permissions in clone source namespace golden/

test('a claim of the own namespace may be cloned, one of another by who may', () => {
  assert.equal(outcome(volumes, from('mine')), '')
  assert.match(outcome(volumes, from('golden')), refused)
  assert.equal(outcome(volumes, from('golden'), 'create datavolumes/source golden'), '')
  assert.equal(outcome(volumes, from('golden'), 'create pods/ golden'), '')
  assert.match(outcome(volumes, from('golden'), 'create pods/ mine'), refused)
})

test('a snapshot of another namespace is read by who may do both: make Pods and claims', () => {
  const kept = { spec: { source: { snapshot: { namespace: 'golden', name: 'monday' } } } }
  assert.match(outcome(volumes, kept), refused)
  assert.match(outcome(volumes, kept, 'create pods/ golden'), refused)
  assert.equal(outcome(volumes, kept, 'create pods/ golden, create persistentvolumeclaims/ golden'), '')
  assert.equal(outcome(volumes, kept, 'create datavolumes/source golden'), '')
})

test('no way around leads there', () => {
  const ref = { spec: { sourceRef: { kind: 'DataSource', name: 'debian', namespace: 'golden' } } }
  assert.match(outcome(volumes, ref), refused)
  const later = { spec: { sourceRef: { kind: 'DataSource', name: 'later', namespace: 'golden' } } }
  assert.match(outcome(volumes, later), refused)
  assert.match(outcome('datasources.cdi.kubevirt.io', from('golden')), refused)
  const chain = { spec: { source: { dataSource: { name: 'debian', namespace: 'golden' } } } }
  assert.match(outcome('datasources.cdi.kubevirt.io', chain), refused)
  assert.match(outcome('dataimportcrons.cdi.kubevirt.io', { spec: { template: from('golden') } }), refused)
  const machine = { spec: { dataVolumeTemplates: [from('mine'), from('golden')] } }
  assert.match(outcome('virtualmachines.kubevirt.io', machine), refused)
  const pool = { spec: { virtualMachineTemplate: machine } }
  assert.match(outcome('virtualmachinepools.pool.kubevirt.io', pool), refused)
})

test('what stays as it was is not asked again', () => {
  const machine = { spec: { dataVolumeTemplates: [from('golden')] } }
  assert.equal(outcome('virtualmachines.kubevirt.io', machine, '', machine), '')
})

test('only who may reach into the node has data fetched from the machine itself', () => {
  for (const host of [
    '127.0.0.1:8080',
    'localhost',
    '[::1]',
    '169.254.169.254',
    '0',
    '[::ffff:127.0.0.1]',
    '2130706433',
  ]) {
    const object = { spec: { source: { http: { url: `http://${host}/disk` } } } }
    assert.match(outcome(volumes, object), /only who may use nodes\/proxy/, host)
    assert.equal(outcome(volumes, object, 'get nodes/proxy '), '', host)
  }
  assert.equal(outcome(volumes, { spec: { source: { http: { url: 'http://10.0.0.1/disk' } } } }), '')
})
