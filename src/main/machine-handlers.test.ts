// The doors of a running machine, from the URL to the driver.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../api/errors.ts'
import { startServer } from '../server/server.fixture.ts'
import { type MachineControl, machineHandlers } from './machine-handlers.ts'

const instances = '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances'
const group = '/apis/subresources.kubevirt.io/v1'
const door = `${group}/namespaces/default/virtualmachineinstances/vm`

async function running(control: Partial<MachineControl>, devices: object = {}) {
  const tandem = await startServer({ machineHandlers: machineHandlers(() => control as MachineControl) })
  const made = await tandem.ok('POST', instances, {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstance',
    metadata: { name: 'vm' },
    spec: { domain: { memory: { guest: '64Mi' }, devices } },
  })
  await tandem.ok('PUT', `${instances}/vm/status`, { ...made, status: { phase: 'Running' } })
  return tandem
}

test('what the guest agent says', async () => {
  const answers: Record<string, unknown> = {
    'guest-info': { version: '7.2' },
    'guest-get-users': [{ user: 'root', 'login-time': 7 }],
    'guest-get-fsinfo': [{ name: 'vda1', mountpoint: '/', type: 'ext4' }],
  }
  const asked: string[] = []
  const guestAgent: any = async (_machine: object, command: string) => {
    asked.push(command)
    if (!(command in answers)) throw new Error('not known')
    return answers[command]
  }
  const tandem = await running({ guestAgent, isFrozen: () => false })
  const info = await tandem.ok('GET', `${door}/guestosinfo`)
  assert.deepEqual([info.guestAgentVersion, info.userList[0].userName], ['7.2', 'root'])
  assert.deepEqual((await tandem.ok('GET', `${door}/userlist`)).items, [{ userName: 'root', loginTime: 7 }])
  assert.equal((await tandem.ok('GET', `${door}/filesystemlist`)).items[0].mountPoint, '/')
  // A frozen guest is asked nothing that it cannot answer.
  const frozen = await running({ guestAgent, isFrozen: () => true })
  asked.length = 0
  assert.equal((await frozen.ok('GET', `${door}/guestosinfo`)).fsFreezeStatus, 'frozen')
  assert.deepEqual(asked, ['guest-info'])
  const silent = await running({
    guestAgent: async () => {
      throw new ApiError('Conflict', 'VMI does not have guest agent connected')
    },
  })
  for (const name of ['guestosinfo', 'userlist', 'filesystemlist'])
    assert.equal(await silent.refused(409, 'GET', `${door}/${name}`), 'VMI does not have guest agent connected')
})

test('freeze for a time', async () => {
  const times: number[] = []
  const tandem = await running({
    freeze: async (_machine, ms) => void times.push(ms),
    unfreeze: async () => {},
  })
  assert.equal((await tandem.call('PUT', `${door}/freeze`, { unfreezeTimeout: '1m30s' })).status, 200)
  assert.deepEqual(times, [90_000])
  assert.equal((await tandem.call('PUT', `${door}/unfreeze`)).status, 200)
  assert.match(await tandem.refused(400, 'PUT', `${door}/freeze`, {}), /unfreezeTimeout is required/)
  assert.match(await tandem.refused(400, 'PUT', `${door}/freeze`, { unfreezeTimeout: 'soon' }), /is no duration/)
})

test('a picture of the screen', async () => {
  const moved: boolean[] = []
  const screenshot: MachineControl['screenshot'] = async (_machine, moveCursor) => {
    moved.push(moveCursor)
    return new Uint8Array([1, 2, 3])
  }
  const tandem = await running({ screenshot })
  const { status, headers, stream } = await tandem.call('GET', `${door}/vnc/screenshot?moveCursor=true`)
  assert.deepEqual([status, headers!['content-type'], moved], [200, 'image/png', [true]])
  const chunks: Uint8Array[] = []
  for await (const chunk of stream!) chunks.push(chunk)
  assert.deepEqual(chunks, [new Uint8Array([1, 2, 3])])
  assert.match(await tandem.refused(400, 'GET', `${door}/vnc`), /upgrade to WebSocket/)
  const headless = await running({ screenshot }, { autoattachGraphicsDevice: false })
  assert.equal(await headless.refused(400, 'GET', `${door}/vnc/screenshot`), 'No graphics devices are present.')
})

test('doors of the group, and an evacuation that never was', async () => {
  const tandem = await running({})
  assert.equal((await tandem.ok('GET', `${group}/version`)).gitVersion, 'v1.9.0')
  assert.equal((await tandem.ok('GET', `${group}/guestfs`)).registry, 'quay.io/kubevirt')
  await tandem.ok('GET', `${group}/healthz`)
  assert.equal((await tandem.call('PUT', `${door}/evacuate/cancel`, {})).status, 200)
  await tandem.refused(404, 'PUT', `${door}/evacuate`, {})
  const { resources } = await tandem.ok('GET', group)
  const names = resources.map(({ name }: { name: string }) => name)
  for (const name of ['virtualmachines/expand-spec', 'virtualmachineinstances/guestosinfo', 'expand-vm-spec'])
    assert.ok(names.includes(name), name)
})
