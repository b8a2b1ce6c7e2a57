// Devices of virtual machines in a real guest: further networks, a TPM, UEFI's variables, a kernel out of an image and
// directories by virtiofs.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { instanceOf } from '../../src/config.ts'
import { type GuestShell, openShell } from './console.fixture.ts'
import { buildKernelImage } from './kernel-image.fixture.ts'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

/** Names of this test's own: interfaces of the machine are everybody's. */
const mark = process.pid.toString(36).slice(-5)
const bridge = `lab${mark}`
const variable = '/sys/firmware/efi/efivars/Tandem-6f5c2d1e-33a7-4a52-9c33-8f5b7d1c9a01'

const definition = (name: string, config: object) => ({
  apiVersion: 'k8s.cni.cncf.io/v1',
  kind: 'NetworkAttachmentDefinition',
  metadata: { name },
  spec: { config: JSON.stringify({ cniVersion: '1.0.0', name: `${name}-${mark}`, ...config }) },
})

const networks = [
  definition('lab', { type: 'bridge', bridge, ipam: { type: 'host-local', subnet: '10.199.31.0/24' } }),
  // A child of the first one's bridge, and no address: the guests choose theirs.
  definition('over', { type: 'macvlan', master: bridge, mode: 'bridge' }),
]

const sources = [
  {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
  },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { color: 'blue' } },
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'key' }, stringData: { word: 'hidden' } },
]

function machine(name: string, image: string, networkNames: string[], more: { domain?: any; spec?: any } = {}) {
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name },
    spec: {
      runStrategy: 'Always',
      template: {
        spec: {
          terminationGracePeriodSeconds: 10,
          networks: [
            { name: 'default', pod: {} },
            ...networkNames.map((networkName) => ({ name: networkName, multus: { networkName } })),
          ],
          volumes: [...(image ? [{ name: 'root', containerDisk: { image } }] : []), ...(more.spec?.volumes ?? [])],
          domain: {
            memory: { guest: '160Mi' },
            ...more.domain,
            devices: {
              disks: image ? [{ name: 'root', disk: { bus: 'virtio' } }] : [],
              interfaces: [
                { name: 'default', masquerade: {} },
                ...networkNames.map((networkName) => ({ name: networkName, bridge: {} })),
              ],
              ...more.domain?.devices,
            },
          },
        },
      },
    },
  }
}

const kernelGuest = (image: string) =>
  machine('kernel', '', ['lab'], {
    spec: {
      volumes: [
        { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
        { name: 'settings', configMap: { name: 'settings' } },
        { name: 'key', secret: { secretName: 'key' } },
        { name: 'account', serviceAccount: { serviceAccountName: 'default' } },
      ],
    },
    domain: {
      firmware: {
        bootloader: { efi: { secureBoot: false, persistent: true } },
        kernelBoot: {
          container: { image, kernelPath: '/boot/vmlinuz', initrdPath: '/boot/initrd' },
          kernelArgs: 'console=ttyS0 quiet loglevel=3 nokaslr mitigations=off no_timer_check tandem.word="a,b c"',
        },
      },
      devices: {
        tpm: { persistent: true },
        filesystems: ['data', 'settings', 'key', 'account'].map((name) => ({ name, virtiofs: {} })),
      },
    },
  })

describe('devices of virtual machines', () => {
  let tandem: TestTandem
  let guest: GuestShell
  let peer: GuestShell
  const shells: GuestShell[] = []

  async function shellOf(name: string): Promise<GuestShell> {
    const shell = await openShell(tandem.kubeconfig, name)
    shells.push(shell)
    return shell
  }

  const interfaces = async (name: string): Promise<{ name: string; ipAddress?: string; mac: string }[]> =>
    JSON.parse(await tandem.kubectl('get', 'vmi', name, '-o', 'jsonpath={.status.interfaces}'))

  before(async () => {
    tandem = await startTandem({ images: ['minimal-vm', 'busybox'] })
    const image = await buildKernelImage(tandem, ['virtiofs', 'efivarfs'])
    await tandem.apply([
      ...networks,
      ...sources,
      kernelGuest(image),
      machine('peer', 'tandem.dev/minimal-vm:1', ['lab', 'over']),
    ])
    const ready = await tandem.tryKubectl(['wait', '--for=condition=Ready', 'vm/kernel', 'vm/peer', '--timeout=300s'])
    if (ready.code !== 0) assert.fail(`${ready.stderr}\n${await tandem.kubectl('get', 'events,vmi', '-o', 'wide')}`)
    ;[guest, peer] = await Promise.all([shellOf('kernel'), shellOf('peer')])
  })

  after(async () => {
    for (const shell of shells) shell.close()
    await tandem?.close()
    assert.throws(() => execFileSync('ip', ['link', 'show', 'dev', bridge], { stdio: 'pipe' }), 'the bridge is left')
  })

  test('the kernel is that of the image, with the arguments of the manifest', async () => {
    assert.match(await guest.run('cat /proc/cmdline'), /tandem\.word="a,b c"/)
  })

  test('a second card is on the network of the definition, with the address that its IPAM gave', async () => {
    const lease = 'ip link set eth1 up; udhcpc -i eth1 -s /etc/udhcpc.script -n -q -t 60 >/dev/null 2>&1'
    await Promise.all([guest.run(lease), peer.run(lease)])
    const [own, other] = (await Promise.all(['kernel', 'peer'].map(interfaces))).map((list) => list[1]!)
    assert.equal(own!.name, 'lab')
    assert.match(await guest.run('ip -4 -o addr show dev eth1'), new RegExp(`inet ${own!.ipAddress}/24`))
    assert.match(await guest.run('cat /sys/class/net/eth1/address'), new RegExp(own!.mac))
    await guest.run(`ping -c 2 -W 30 ${other!.ipAddress}`)
    // The way out stays the pod network's.
    assert.match(await guest.run('ip route'), /default via 10\.0\.2\.1 dev eth0/)
  })

  test('a guest on a macvlan is reached at its own hardware address', async () => {
    const [, target] = await interfaces('kernel')
    const third = (await interfaces('peer'))[2]!
    assert.equal(third.ipAddress, undefined)
    assert.match(await peer.run('cat /sys/class/net/eth2/address'), new RegExp(third.mac))
    await peer.run('ip addr flush dev eth1; ip link set eth2 up; ip addr add 10.199.31.250/24 dev eth2')
    await peer.run(`ping -c 2 -W 30 ${target!.ipAddress}`)
    assert.match(await guest.run('ip neigh show 10.199.31.250'), new RegExp(third.mac))
  })

  test('a Pod joins the same network, and says so', async () => {
    const annotations = { 'k8s.v1.cni.cncf.io/networks': 'lab@lab0' }
    const command = ['sleep', '600']
    await tandem.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'joined', annotations },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'main', image: 'tandem.dev/busybox:1', command }],
      },
    })
    await tandem.kubectl('wait', '--for=condition=Ready', 'pod/joined', '--timeout=300s')
    const path = 'jsonpath={.metadata.annotations.k8s\\.v1\\.cni\\.cncf\\.io/network-status}'
    const status = JSON.parse(await tandem.kubectl('get', 'pod', 'joined', '-o', path))
    const [first, second] = status as { name: string; interface: string; ips: string[]; default?: boolean }[]
    assert.equal(first!.default, true)
    assert.deepEqual([second!.name, second!.interface], ['default/lab', 'lab0'])
    assert.match(
      await tandem.kubectl('exec', 'joined', '--', 'ip', '-4', 'addr', 'show', 'lab0'),
      new RegExp(second!.ips[0]!),
    )
    await guest.run(`ping -c 2 -W 30 ${second!.ips[0]}`)
  })

  test('directories: a claim to write to, and what other objects say to read', async () => {
    await guest.run('mkdir -p /m/data /m/settings /m/key /m/account')
    for (const name of ['data', 'settings', 'key', 'account']) await guest.run(`mount -t virtiofs ${name} /m/${name}`)
    assert.equal(await guest.run('cat /m/settings/color'), 'blue')
    assert.equal(await guest.run('cat /m/key/word'), 'hidden')
    assert.match(await guest.run('cat /m/account/token'), /^ey[\w-]+\.[\w-]+\.[\w-]+$/)
    assert.match(
      await guest.run('if echo red > /m/settings/color; then echo changed; else echo refused; fi'),
      /refused/,
    )
    await guest.run('mkdir /m/data/folder; echo from the guest > /m/data/folder/file; sync')
  })

  test('TPM 2.0 and UEFI’s variables outlive a restart, and so does the claim', async () => {
    assert.equal(await guest.run('cat /sys/class/tpm/tpm0/tpm_version_major'), '2')
    await guest.run('mount -t efivarfs none /sys/firmware/efi/efivars')
    await guest.run(`printf '\\007\\000\\000\\000kept' > ${variable}`)
    const before = await tpmResets(guest)
    const uid = await tandem.kubectl('get', 'vmi', 'kernel', '-o', 'jsonpath={.metadata.uid}')
    await tandem.kubectl('delete', 'vmi', 'kernel', '--wait=false')
    await until('there is another instance', async () => {
      const { code, stdout } = await tandem.tryKubectl([
        'get',
        'vmi',
        'kernel',
        '-o',
        'jsonpath={.metadata.uid} {.status.phase}',
      ])
      return code === 0 && stdout.endsWith(' Running') && !stdout.startsWith(uid)
    })
    guest = await shellOf('kernel')
    assert.ok((await tpmResets(guest)) > before, 'the TPM has counted a reset')
    await guest.run('mount -t efivarfs none /sys/firmware/efi/efivars')
    assert.match(await guest.run(`cat ${variable}`), /kept/)
    await guest.run('mkdir -p /m && mount -t virtiofs data /m')
    assert.equal(await guest.run('cat /m/folder/file'), 'from the guest')
  })

  test('what does a device’s work is neither root nor there when its machine is not', async () => {
    // Other Tandems have such programs, too, and theirs may just be starting.
    const own = `/tandem-${instanceOf(tandem.stateDir)}/`
    const isOwn = (pid: string) => {
      try {
        return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(own)
      } catch {
        // It has ended.
        return false
      }
    }
    const users = () =>
      execFileSync('ps', ['-eo', 'uid,pid,args'], { encoding: 'utf8' })
        .split('\n')
        .filter(
          (line) =>
            /swtpm socket|virtiofsd -f/.test(line) && !line.includes('unshare') && isOwn(line.trim().split(/\s+/)[1]!),
        )
        .map((line) => Number.parseInt(line, 10))
    const others = users().length
    assert.ok(others >= 5)
    assert.ok(users().every((uid) => uid >= 1_070_000))
    await tandem.kubectl('delete', 'vm', 'kernel')
    await until('they are gone', () => users().length <= others - 5)
  })
})

/** TPM2_ReadClock: behind the header of 10 bytes come time and clock of 8 each, and then the number of resets. */
async function tpmResets(guest: GuestShell): Promise<number> {
  // In one piece: printf would stop at the byte that is a line end.
  await guest.run("printf '\\200\\001\\000\\000\\000\\012\\000\\000\\001\\201' > /tmp/command")
  const answer = await guest.run(
    'exec 3<>/dev/tpm0; dd if=/tmp/command bs=10 >&3 2>/dev/null; dd bs=128 count=1 <&3 2>/dev/null | od -An -tx1 -v; exec 3>&-',
  )
  const bytes = Buffer.from(answer.replace(/\s/g, ''), 'hex')
  assert.ok(bytes.length >= 30, answer)
  return bytes.readUInt32BE(26)
}
