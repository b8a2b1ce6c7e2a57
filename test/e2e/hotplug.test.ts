// What changes in a machine that runs, seen from inside the guest: disks that come and go, by virtctl's doors and by the
// template; cards on further networks; more processors and memory; a claim that grows. Real QEMU, stock kubectl, a shell in
// the guest.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import type { ApiResponse } from '../../src/api/exchange.ts'
import { createHttpsTransport, type HttpsTransport } from '../../src/client/https.ts'
import { accessFromKubeconfig } from '../../src/client/kubeconfig.ts'
import { instanceOf } from '../../src/config.ts'
import { type GuestShell, openShell } from './console.fixture.ts'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

/** Names of this test's own: interfaces of the machine are everybody's. */
const mark = process.pid.toString(36).slice(-5)
const labGateway = '10.199.43.1'

/** The bridge of this machine is in the network, too: somebody who answers. */
const lab = {
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name: 'lab' },
  spec: {
    config: JSON.stringify({
      cniVersion: '1.0.0',
      name: `hot-${mark}`,
      type: 'bridge',
      bridge: `hot${mark}`,
      isGateway: true,
      ipam: { type: 'host-local', subnet: '10.199.43.0/24' },
    }),
  },
}

interface Card {
  name: string
  state?: string
  [binding: string]: unknown
}

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
  /** Asks the guest until it says so: its kernel takes a moment, in which the command may fail, too. */
  const sees = (command: string, wanted: string) =>
    until(`the guest says ${wanted} to ${command}`, async () => (await guest.run(`${command} || :`)) === wanted)
  const sizeOf = (disk: string) => `cat /sys/block/${disk}/size 2> /dev/null || echo none`
  const sectors = (mebibytes: number) => String(mebibytes * 2048)

  const cards = async (): Promise<Record<string, any>[]> => (await instance()).status.interfaces
  const cardOf = async (name: string) => (await cards()).find((one) => one.name === name)
  /** The template's cards, and their networks. */
  const wire = (...interfaces: Card[]) => {
    const networks = interfaces.map(({ name }) =>
      name === 'default' ? { name, pod: {} } : { name, multus: { networkName: name.replace(/-.*/, '') } },
    )
    return patch('hot', 'vm', { spec: { template: { spec: { networks, domain: { devices: { interfaces } } } } } })
  }
  const first: Card = { name: 'default', masquerade: {} }
  const onLab = (name: string, more: object = {}): Card => ({ name, bridge: {}, ...more })
  const plugged = (name: string) =>
    until(`${name} is in the guest`, async () => /domain.*multus-status/.test((await cardOf(name))?.infoSource ?? ''))
  /** Gone from the guest, the instance, and the template. */
  const unplugged = (name: string) =>
    until(`${name} is gone everywhere`, async () => {
      const [vm, { spec, status }] = [
        JSON.parse(await tandem.kubectl('get', 'vm', 'hot', '-o', 'json')),
        await instance(),
      ]
      return ![vm.spec.template.spec, spec, status].some((one) => JSON.stringify(one).includes(`"name":"${name}"`))
    })
  const lease = (card: string) =>
    guest.run(`ip link set ${card} up; udhcpc -i ${card} -s /etc/udhcpc.script -n -q -t 60 >/dev/null 2>&1`)
  const reaches = (card: string) => guest.run(`ping -c 2 -W 30 -I ${card} ${labGateway} > /dev/null`)
  /** What of the machine's namespace belongs to further networks. */
  const ends = async (): Promise<string[]> => {
    const netns = `tandem-${instanceOf(tandem.stateDir)}-${(await instance()).metadata.uid}`
    const links = JSON.parse(execFileSync('ip', ['-n', netns, '-j', 'link', 'show'], { encoding: 'utf8' }))
    return links
      .map((one: { ifname: string }) => one.ifname)
      .filter((name: string) => /^(pod|tap)[0-9a-f]{11}$/.test(name))
  }
  async function again(): Promise<void> {
    guest.close()
    guest = await openShell(tandem.kubeconfig, 'hot')
  }
  const noRestart = async () =>
    assert.doesNotMatch(await tandem.kubectl('get', 'vm', 'hot', '-o', 'jsonpath={.status.conditions}'), /RestartReq/)

  const restartRequired = (message: string) =>
    until(`a restart is required: ${message}`, async () => {
      const conditions = await tandem.kubectl('get', 'vm', 'hot', '-o', 'jsonpath={.status.conditions}')
      return conditions.includes(message)
    })

  before(async () => {
    tandem = await startTandem({ images: ['minimal-vm'] })
    api = createHttpsTransport(accessFromKubeconfig(readFileSync(tandem.kubeconfig, 'utf8')))
    await tandem.apply([lab, machine, claim('fast', '64Mi'), claim('many', '32Mi')])
    // The machine, which is there: its instance comes some time after it.
    await tandem.kubectl('wait', '--for=condition=Ready', 'vm/hot', '--timeout=300s')
    guest = await openShell(tandem.kubeconfig, 'hot')
    // The modules for it are loaded when all else is done.
    await sees('lsmod | grep "^virtio_scsi\\|^virtio_mem" | wc -l', '2')
  })
  after(async () => {
    guest?.close()
    api?.close()
    await tandem?.close()
    assert.throws(
      () => execFileSync('ip', ['link', 'show', 'dev', `hot${mark}`], { stdio: 'pipe' }),
      'a bridge is left',
    )
  })

  test('addvolume of the machine: the guest sees the disk, and the template has it', async () => {
    assert.equal(await put('virtualmachines', 'addvolume', added('fast', 'virtio')), 202)
    await phase('fast', 'Ready')
    const { target, hotplugVolume, persistentVolumeClaimInfo } = await statusOf('fast')
    assert.deepEqual([target, hotplugVolume, persistentVolumeClaimInfo.claimName], ['vdb', {}, 'fast'])
    await sees(sizeOf('vdb'), sectors(60))
    await sees('test -b /dev/vdb && cat /sys/block/vdb/serial', 'fast')
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
    // QEMU has given all of it when the guest's kernel has yet to put the last block to use.
    await until('the guest sees it', async () => (await total()) - before > 400)
    await memory('1280Mi')
    await current('1280Mi')
    const { guestAtBoot, guestRequested } = (await instance()).status.memory
    assert.deepEqual([guestAtBoot, guestRequested], ['1Gi', '1280Mi'])
    await memory('512Mi')
    await restartRequired('memory updated in template spec to a value lower than what the VM started with')
    await memory('1280Mi')
  })

  test('a card on a further network comes with the template, without a restart', async () => {
    await wire(first, onLab('lab'))
    await plugged('lab')
    const { mac, ipAddress, infoSource, linkState, podInterfaceName } = (await cardOf('lab'))!
    assert.deepEqual([infoSource, linkState], ['domain, multus-status', 'up'])
    assert.match(podInterfaceName, /^pod[0-9a-f]{11}$/)
    await sees('cat /sys/class/net/eth1/address', mac)
    await lease('eth1')
    assert.match(await guest.run('ip -4 -o addr show dev eth1'), new RegExp(`inet ${ipAddress}/24`))
    await reaches('eth1')
    await noRestart()
    // Memory, disks and cards are behind ports of their own.
    assert.deepEqual(
      (await instance()).spec.networks.map((one: { name: string }) => one.name),
      ['default', 'lab'],
    )
  })

  test('a cable is pulled and put back, of any card', async () => {
    const carrier = (card: string, state: string) => sees(`cat /sys/class/net/${card}/carrier`, state)
    const link = (name: string, state: string) =>
      until(`${name} is ${state}`, async () => (await cardOf(name))?.linkState === state)
    await wire({ ...first, state: 'down' }, onLab('lab', { state: 'down' }))
    for (const [card, name] of [
      ['eth0', 'default'],
      ['eth1', 'lab'],
    ] as const) {
      await carrier(card, '0')
      await link(name, 'down')
    }
    await wire({ ...first, state: 'up' }, onLab('lab'))
    for (const [card, name] of [
      ['eth0', 'default'],
      ['eth1', 'lab'],
    ] as const) {
      await carrier(card, '1')
      await link(name, 'up')
    }
    await reaches('eth1')
    await noRestart()
  })

  test('a Tandem that is killed while a card comes, and while it goes, finds its way', async () => {
    await wire(first, onLab('lab'), onLab('lab-b'))
    await tandem.kill()
    await tandem.up()
    await again()
    await plugged('lab-b')
    await sees('cat /sys/class/net/eth2/address', (await cardOf('lab-b'))!.mac)
    await reaches('eth1')
    assert.equal((await ends()).length, 4)
    await wire(first, onLab('lab'), onLab('lab-b', { state: 'absent' }))
    await tandem.kill()
    await tandem.up()
    await unplugged('lab-b')
    await again()
    await sees('ls -1 /sys/class/net', 'eth0\neth1\nlo')
    assert.equal((await ends()).length, 2)
    await reaches('eth1')
    await noRestart()
  })

  test('a network that nobody has defined is said and waited for; other changes need a restart', async () => {
    await wire(first, onLab('lab'), onLab('later'))
    await until('it is said', async () =>
      JSON.stringify((await instance()).status.conditions).includes('\\"default/later\\" not found'),
    )
    await wire(first, onLab('lab'), onLab('later', { state: 'absent' }))
    await unplugged('later')
    await wire(first, onLab('lab', { model: 'e1000' }))
    await restartRequired('a non-live-updatable field was changed in the template spec')
    await wire(first, onLab('lab'))
    await until(
      'that is over',
      async () =>
        !(await tandem.kubectl('get', 'vm', 'hot', '-o', 'jsonpath={.status.conditions}')).includes('RestartRequired'),
    )
    const migratable = (await instance()).status.conditions.find(
      (one: { type: string }) => one.type === 'LiveMigratable',
    )
    assert.equal(migratable.reason, 'InterfaceNotLiveMigratable')
  })

  test('a claim that grows is a disk that grows', async () => {
    await patch('fast', 'pvc', { spec: { resources: { requests: { storage: '128Mi' } } } })
    await sees(sizeOf('vdb'), sectors(120))
  })

  test('all of it is there again after a sleep on disk', async () => {
    await guest.run('echo kept > /tmp/kept')
    const pids = (await instance()).metadata.uid
    assert.equal(await put('virtualmachines', 'hibernate', {}), 202)
    await tandem.kubectl('wait', '--for=jsonpath={.status.printableStatus}=Hibernated', 'vm/hot', '--timeout=300s')
    assert.equal(await put('virtualmachines', 'resume', {}), 202)
    await until('it goes on', async () => {
      const { code, stdout } = await tandem.tryKubectl(['get', 'vmi', 'hot', '-o', 'json'])
      return code === 0 && JSON.parse(stdout).metadata.uid !== pids && JSON.parse(stdout).status.phase === 'Running'
    })
    await again()
    assert.equal(await guest.run('cat /tmp/kept; nproc'), 'kept\n3')
    // It joined the network anew, whose IPAM may have another address for it.
    await lease('eth1')
    await reaches('eth1')
    await plugged('lab')
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

  /** Of the instance that runs now; the one that comes has another. */
  async function anotherInstance(verb: string, then?: string): Promise<void> {
    const { uid } = (await instance()).metadata
    assert.equal(await put('virtualmachines', verb, {}), 202)
    if (then) {
      await tandem.kubectl('wait', '--for=jsonpath={.status.printableStatus}=Hibernated', 'vm/hot', '--timeout=300s')
      assert.equal(await put('virtualmachines', then, {}), 202)
    }
    await until('there is another instance', async () => {
      const { code, stdout } = await tandem.tryKubectl(['get', 'vmi', 'hot', '-o', 'json'])
      return code === 0 && JSON.parse(stdout).metadata.uid !== uid && JSON.parse(stdout).status.phase === 'Running'
    })
    await again()
  }

  test('after a restart it is there from the start; it goes all the same, and its place stays empty', async () => {
    const { mac } = (await cardOf('lab'))!
    await anotherInstance('restart')
    await sees('cat /sys/class/net/eth1/address', mac)
    await lease('eth1')
    await reaches('eth1')
    await wire(first, onLab('lab', { state: 'absent' }))
    await unplugged('lab')
    await sees('ls -1 /sys/class/net', 'eth0\nlo')
    assert.deepEqual(await ends(), [])
    await guest.run('echo kept > /tmp/kept')
    await anotherInstance('hibernate', 'resume')
    assert.equal(await guest.run('cat /tmp/kept; ls -1 /sys/class/net'), 'kept\neth0\nlo')
    await wire(first, onLab('lab'))
    await plugged('lab')
    await sees('cat /sys/class/net/eth1/address', mac)
    await lease('eth1')
    await reaches('eth1')
    await noRestart()
  })
})
