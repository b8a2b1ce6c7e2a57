// addvolume and removevolume: what they change, and what they refuse in KubeVirt's words.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer, type TestServer } from '../server.fixture.ts'

const group = '/apis/kubevirt.io/v1/namespaces/default'
const doors = '/apis/subresources.kubevirt.io/v1/namespaces/default'
const template = {
  spec: {
    domain: { memory: { guest: '64Mi' }, devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] } },
    volumes: [{ name: 'root', persistentVolumeClaim: { claimName: 'root' } }],
  },
}
const options = (name: string, more = {}) => ({
  name,
  disk: { disk: { bus: 'scsi' }, serial: name },
  volumeSource: { persistentVolumeClaim: { claimName: name } },
  ...more,
})

async function machine(phase = 'Running'): Promise<TestServer> {
  const tandem = await startServer()
  const meta = { apiVersion: 'kubevirt.io/v1', metadata: { name: 'vm' } }
  const spec = { runStrategy: 'Always', template }
  await tandem.ok('POST', `${group}/virtualmachines`, { ...meta, kind: 'VirtualMachine', spec })
  const made = { ...meta, kind: 'VirtualMachineInstance', spec: template.spec }
  const instance = await tandem.ok('POST', `${group}/virtualmachineinstances`, made)
  await tandem.ok('PUT', `${group}/virtualmachineinstances/vm/status`, { ...instance, status: { phase } })
  return tandem
}

const names = (spec: any) =>
  [spec.volumes, spec.domain.devices.disks].map((items) => items.map(({ name }: any) => name))
const conflict = (kind: string, text: string) => `Operation cannot be fulfilled on ${kind}.kubevirt.io "vm": ${text}`

test('of a machine they change the template', async () => {
  const tandem = await machine()
  assert.equal((await tandem.call('PUT', `${doors}/virtualmachines/vm/addvolume`, options('more'))).status, 202)
  const get = async () => (await tandem.ok('GET', `${group}/virtualmachines/vm`)).spec.template.spec
  assert.deepEqual((await get()).volumes[1], {
    name: 'more',
    persistentVolumeClaim: { claimName: 'more', hotpluggable: true },
  })
  assert.deepEqual((await get()).domain.devices.disks[1], { name: 'more', disk: { bus: 'scsi' }, serial: 'more' })
  assert.equal((await tandem.call('PUT', `${doors}/virtualmachines/vm/removevolume`, { name: 'more' })).status, 202)
  assert.deepEqual(names(await get()), [['root'], ['root']])
})

test('of an instance they change what runs, and say that no template has it', async () => {
  const tandem = await machine()
  const get = () => tandem.ok('GET', `${group}/virtualmachineinstances/vm`)
  await tandem.ok('PUT', `${doors}/virtualmachineinstances/vm/addvolume`, options('more', { dryRun: ['All'] }))
  assert.deepEqual(names((await get()).spec), [['root'], ['root']])
  assert.equal((await tandem.call('PUT', `${doors}/virtualmachineinstances/vm/addvolume`, options('more'))).status, 202)
  assert.deepEqual(names((await get()).spec), [
    ['root', 'more'],
    ['root', 'more'],
  ])
  assert.equal((await get()).metadata.annotations['tandem.dev/ephemeral-volumes'], 'more')
  await tandem.ok('PUT', `${doors}/virtualmachineinstances/vm/removevolume`, { name: 'more' })
  assert.equal((await get()).metadata.annotations?.['tandem.dev/ephemeral-volumes'], undefined)
})

test('what cannot be is refused', async () => {
  const tandem = await machine()
  for (const [kind, plural] of [
    ['virtualmachine', 'virtualmachines'],
    ['virtualmachineinstance', 'virtualmachineinstances'],
  ] as const) {
    const refused = (code: number, verb: string, body: object) =>
      tandem.refused(code, 'PUT', `${doors}/${plural}/vm/${verb}`, body)
    assert.equal(
      await refused(409, 'addvolume', options('root')),
      conflict(kind, 'Unable to add volume [root] because volume with that name already exists'),
    )
    assert.equal(
      await refused(409, 'addvolume', { ...options('other'), volumeSource: options('root').volumeSource }),
      conflict(kind, 'Unable to add volume source [root] because it already exists'),
    )
    assert.equal(
      await refused(409, 'removevolume', { name: 'root' }),
      conflict(kind, 'Unable to remove volume [root] because it is not hotpluggable'),
    )
    assert.equal(
      await refused(409, 'removevolume', { name: 'none' }),
      conflict(kind, 'Unable to remove volume [none] because it does not exist'),
    )
    assert.match(await refused(400, 'addvolume', {}), /AddVolumeOptions requires name to be set/)
    const sata = options('more', { disk: { disk: { bus: 'sata' } } })
    assert.match(
      await refused(422, 'addvolume', sata),
      /requires bus to be 'scsi' or 'virtio'. \[sata\] is not permitted/,
    )
  }
  const stopped = await machine('Succeeded')
  assert.equal(
    await stopped.refused(409, 'PUT', `${doors}/virtualmachineinstances/vm/addvolume`, options('more')),
    conflict('virtualmachineinstance', 'VMI is not running'),
  )
})
