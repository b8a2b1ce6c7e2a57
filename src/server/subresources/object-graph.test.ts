// objectgraph: what a machine refers to, as a tree, and what the options leave out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '../server.fixture.ts'
import { machineGraph } from './object-graph.ts'

const spec = {
  accessCredentials: [{ sshPublicKey: { source: { secret: { secretName: 'keys' } } } }],
  networks: [
    { name: 'default', pod: {} },
    { name: 'blue', multus: { networkName: 'nets/blue' } },
  ],
  volumes: [
    { name: 'root', dataVolume: { name: 'root' } },
    { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
    { name: 'init', cloudInitNoCloud: { secretRef: { name: 'user' }, networkDataSecretRef: { name: 'net' } } },
    { name: 'settings', configMap: { name: 'settings' } },
  ],
}

const machine = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'vm', namespace: 'default', uid: '1', resourceVersion: '1', creationTimestamp: '' },
  spec: { instancetype: { name: 'small' }, template: { spec } },
  status: { instancetypeRef: { controllerRevisionRef: { name: 'vm-small-1' } } },
}

const text = (graph: any): string => {
  const { kind, namespace, name } = graph.objectReference
  const below = (graph.children ?? []).map(text).join(' ')
  return `${kind}:${namespace}/${name}${graph.optional ? '?' : ''}${below && `(${below})`}`
}

test('objectgraph: every reference once, in upstream’s order, with its group and label', () => {
  const graph = machineGraph(machine, undefined, {})
  assert.equal(
    text(graph),
    'VirtualMachine:default/vm(VirtualMachineClusterInstancetype:/small? ControllerRevision:default/vm-small-1 ' +
      'Secret:default/keys DataVolume:default/root(PersistentVolumeClaim:default/root) ' +
      'PersistentVolumeClaim:default/data Secret:default/user Secret:default/net ConfigMap:default/settings ' +
      'NetworkAttachmentDefinition:nets/blue?)',
  )
  assert.deepEqual(graph.children?.[4], {
    objectReference: { apiGroup: '', kind: 'PersistentVolumeClaim', name: 'data', namespace: 'default' },
    labels: { 'kubevirt.io/dependency-type': 'storage' },
  })
})

test('objectgraph: without what is optional, and by label', () => {
  const storage = { matchLabels: { 'kubevirt.io/dependency-type': 'storage' } }
  assert.equal(
    text(machineGraph(machine, undefined, { labelSelector: storage })),
    'VirtualMachine:default/vm(DataVolume:default/root(PersistentVolumeClaim:default/root) PersistentVolumeClaim:default/data)',
  )
  assert.doesNotMatch(text(machineGraph(machine, undefined, { includeOptionalNodes: false })), /\?/)
})

test('objectgraph of an instance names its Pod; of none it is not found; a bad selector is refused', async () => {
  const tandem = await startServer()
  const door = '/apis/subresources.kubevirt.io/v1/namespaces/default/virtualmachineinstances'
  const template = {
    domain: { memory: { guest: '64Mi' }, devices: { disks: [{ name: 'd', disk: { bus: 'virtio' } }] } },
    volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'd' } }],
  }
  await tandem.ok('POST', '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances', {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name: 'vm' },
    spec: template,
  })
  const graph = await tandem.ok('GET', `${door}/vm/objectgraph`)
  assert.match(
    text(graph),
    /^VirtualMachineInstance:default\/vm\(Pod:default\/virt-launcher-vm-\w{5} PersistentVolumeClaim:default\/d\)$/,
  )
  assert.match(await tandem.refused(404, 'GET', `${door}/none/objectgraph`), /virtualmachineinstance.*"none" not found/)
  const bad = { labelSelector: { matchLabels: { 'a b': 'c' } } }
  assert.match(await tandem.refused(400, 'GET', `${door}/vm/objectgraph`, bad), /labelSelector\.matchLabels/)
})
