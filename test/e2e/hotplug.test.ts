// What changes in a machine that runs, seen from inside the guest: disks that come and go, by virtctl's doors and by the
// template; more processors and memory; a claim that grows. Real QEMU, stock kubectl, a shell in the guest.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { ApiResponse } from '../../src/api/exchange.ts'
import { createHttpsTransport, type HttpsTransport } from '../../src/client/https.ts'
import { accessFromKubeconfig } from '../../src/client/kubeconfig.ts'
import { type GuestShell, openShell } from './console.fixture.ts'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

const claim = (name: string, storage: string) => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
})

const machine = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'hot' },
  spec: {
    runStrategy: 'Always',
    template: {
      spec: {
        terminationGracePeriodSeconds: 1,
        domain: {
          cpu: { sockets: 1 },
          memory: { guest: '1Gi' },
          devices: {
            disks: [
              { name: 'root', disk: { bus: 'virtio' } },
              { name: 'disc', cdrom: { bus: 'scsi' } },
            ],
            interfaces: [{ name: 'default', masquerade: {} }],
          },
        },
        networks: [{ name: 'default', pod: {} }],
        volumes: [{ name: 'root', containerDisk: { image: 'tandem.dev/minimal-vm:1' } }],
      },
    },
  },
}

const added = (name: string, bus: string) => ({
  name,
  disk: { disk: { bus }, serial: name },
  volumeSource: { persistentVolumeClaim: { claimName: name, hotpluggable: true } },
})

describe('changes of a machine that runs', () => {
  let tandem: TestTandem
  let api: HttpsTransport
  let guest: GuestShell

  async function put(kind: 'virtualmachines' | 'virtualmachineinstances', verb: string, body: object): Promise<number> {
    const path = `/apis/subresources.kubevirt.io/v1/namespaces/default/${kind}/hot/${verb}`
    const headers = { accept: 'application/json', 'content-type': 'application/json' }
    const answer: ApiResponse = await api.transport({
      method: 'PUT',
      path,
      query: new URLSearchParams(),
      headers,
      body,
    })
    return answer.status
  }

  const instance = async () => JSON.parse(await tandem.kubectl('get', 'vmi', 'hot', '-o', 'json'))
  const statusOf = async (name: string) =>
    (await instance()).status.volumeStatus.find((one: { name: string }) => one.name === name)
  const phase = (name: string, wanted: string | undefined) =>
    until(`volume ${name} is ${wanted ?? 'gone'}`, async () => (await statusOf(name))?.phase === wanted)
  const patch = (name: string, kind: string, body: object) =>
    tandem.kubectl('patch', kind, name, '--type=merge', '-p', JSON.stringify(body))
  /** Asks the guest until it says so: its kernel takes a moment. */
  const sees = (command: string, wanted: string) =>
    until(`the guest says ${wanted} to ${command}`, async () => (await guest.run(command)) === wanted)
  const sizeOf = (disk: string) => `cat /sys/block/${disk}/size 2> /dev/null || echo none`
  const sectors = (mebibytes: number) => String(mebibytes * 2048)

  const restartRequired = (message: string) =>
    until(`a restart is required: ${message}`, async () => {
      const conditions = await tandem.kubectl('get', 'vm', 'hot', '-o', 'jsonpath={.status.conditions}')
      return conditions.includes(message)
    })

  before(async () => {
    tandem = await startTandem({ images: ['minimal-vm'] })
    api = createHttpsTransport(accessFromKubeconfig(readFileSync(tandem.kubeconfig, 'utf8')))
    await tandem.apply([machine, claim('fast', '64Mi'), claim('many', '32Mi')])
    await tandem.kubectl('wait', '--for=condition=Ready', 'vmi/hot', '--timeout=60s')
    guest = await openShell(tandem.kubeconfig, 'hot')
    // The modules for it are loaded when all else is done.
    await sees('lsmod | grep "^virtio_scsi\\|^virtio_mem" | wc -l', '2')
  })
  after(async () => {
    guest?.close()
    api?.close()
    await tandem?.close()
  })

  test('addvolume of the machine: the guest sees the disk, and the template has it', async () => {
    assert.equal(await put('virtualmachines', 'addvolume', added('fast', 'virtio')), 202)
    await phase('fast', 'Ready')
    const { target, hotplugVolume, persistentVolumeClaimInfo } = await statusOf('fast')
    assert.deepEqual([target, hotplugVolume, persistentVolumeClaimInfo.claimName], ['vdb', {}, 'fast'])
    await sees(sizeOf('vdb'), sectors(60))
    assert.equal(await guest.run('cat /sys/block/vdb/serial'), 'fast')
    await guest.run('echo written > /dev/vdb; sync')
    const volumes = await tandem.kubectl('get', 'vm', 'hot', '-o', 'jsonpath={.spec.template.spec.volumes[*].name}')
    assert.equal(volumes, 'root fast')
    assert.equal(await put('virtualmachines', 'addvolume', added('fast', 'virtio')), 409)
  })

  test('addvolume of the instance: it is in no template, and a restart of Tandem changes nothing', async () => {
    assert.equal(await put('virtualmachineinstances', 'addvolume', added('many', 'scsi')), 202)
    await phase('many', 'Ready')
    await sees(sizeOf('sda'), sectors(30))
    await tandem.kill()
    await tandem.up()
    guest.close()
    guest = await openShell(tandem.kubeconfig, 'hot')
    await phase('many', 'Ready')
    assert.equal(await guest.run(sizeOf('sda')), sectors(30))
    const restart = await tandem.kubectl('get', 'vm', 'hot', '-o', 'jsonpath={.status.conditions[*].type}')
    assert.ok(!restart.includes('RestartRequired'), restart)
    assert.equal(await put('virtualmachineinstances', 'removevolume', { name: 'many' }), 202)
    await phase('many', undefined)
    await sees(sizeOf('sda'), 'none')
  })

  test('more sockets in the template are more processors in the guest, at once', async () => {
    await patch('hot', 'vm', { spec: { template: { spec: { domain: { cpu: { sockets: 3 } } } } } })
    await sees('ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l', '3')
    await guest.run('for cpu in 1 2; do echo 1 > /sys/devices/system/cpu/cpu$cpu/online; done')
    assert.equal(await guest.run('nproc'), '3')
    await until('the status says so', async () => (await instance()).status.currentCPUTopology.sockets === 3)
    await patch('hot', 'vm', { spec: { template: { spec: { domain: { cpu: { sockets: 2 } } } } } })
    await restartRequired('Reduction of CPU socket count requires a restart')
    await patch('hot', 'vm', { spec: { template: { spec: { domain: { cpu: { sockets: 3 } } } } } })
  })

  test('more memory in the template is more memory in the guest, and less is less', async () => {
    const total = async () => Number(await guest.run(`awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo`))
    const before = await total()
    const memory = (amount: string) =>
      patch('hot', 'vm', { spec: { template: { spec: { domain: { memory: { guest: amount } } } } } })
    const current = (amount: string) =>
      until(`the guest has ${amount}`, async () => (await instance()).status.memory.guestCurrent === amount)
    await memory('1536Mi')
    await current('1536Mi')
    assert.ok((await total()) - before > 400, 'the guest sees it')
    await memory('1280Mi')
    await current('1280Mi')
    const { guestAtBoot, guestRequested } = (await instance()).status.memory
    assert.deepEqual([guestAtBoot, guestRequested], ['1Gi', '1280Mi'])
    await memory('512Mi')
    await restartRequired('memory updated in template spec to a value lower than what the VM started with')
    await memory('1280Mi')
  })

  test('a claim that grows is a disk that grows', async () => {
    await patch('fast', 'pvc', { spec: { resources: { requests: { storage: '128Mi' } } } })
    await sees(sizeOf('vdb'), sectors(120))
  })

  test('all of it is there again after a sleep on disk', async () => {
    await guest.run('echo kept > /tmp/kept')
    const pids = (await instance()).metadata.uid
    assert.equal(await put('virtualmachines', 'hibernate', {}), 202)
    await tandem.kubectl('wait', '--for=jsonpath={.status.printableStatus}=Hibernated', 'vm/hot', '--timeout=60s')
    assert.equal(await put('virtualmachines', 'resume', {}), 202)
    await until('it goes on', async () => {
      const { code, stdout } = await tandem.tryKubectl(['get', 'vmi', 'hot', '-o', 'json'])
      return code === 0 && JSON.parse(stdout).metadata.uid !== pids && JSON.parse(stdout).status.phase === 'Running'
    })
    guest.close()
    guest = await openShell(tandem.kubeconfig, 'hot')
    assert.equal(await guest.run('cat /tmp/kept; nproc'), 'kept\n3')
    assert.equal(await guest.run(sizeOf('vdb')), sectors(120))
    assert.equal(await guest.run('head -c 7 /dev/vdb'), 'written')
    await until('the status has it', async () => (await instance()).status.memory.guestCurrent === '1280Mi')
  })

  test('by the template: volumes go and discs come, without a restart', async () => {
    const volume = { name: 'disc', persistentVolumeClaim: { claimName: 'many', hotpluggable: true } }
    const { volumes } = machine.spec.template.spec
    const { disks } = machine.spec.template.spec.domain.devices
    const template = { spec: { volumes: [...volumes, volume], domain: { devices: { disks } } } }
    await patch('hot', 'vm', { spec: { template } })
    await phase('fast', undefined)
    await phase('disc', 'Ready')
    await sees(sizeOf('vdb'), 'none')
    // Without udev nobody looks for a disc until somebody reads.
    await sees(`head -c 1 /dev/sr0 > /dev/null 2>&1; ${sizeOf('sr0')}`, sectors(30))
    await patch('hot', 'vm', { spec: { template: { spec: { volumes } } } })
    await phase('disc', undefined)
    assert.ok(!(await tandem.kubectl('get', 'vm', 'hot', '-o', 'jsonpath={.status.conditions}')).includes('Restart'))
  })
})
