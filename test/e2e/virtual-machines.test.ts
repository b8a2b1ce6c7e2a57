// Virtual machines beside Pods on one network: a real Tandem, QEMU, containerd, stock kubectl, and a shell in the guests.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { ApiResponse } from '../../src/api/exchange.ts'
import { createHttpsTransport, type HttpsTransport } from '../../src/client/https.ts'
import { accessFromKubeconfig } from '../../src/client/kubeconfig.ts'
import { instanceOf } from '../../src/config.ts'
import { type GuestConsole, type GuestShell, openConsole, openShell } from './console.fixture.ts'
import { buildDiskImage } from './disk-image.fixture.ts'
import { guestDisk, guestKeys } from './machines-guest.ts'
import { registryUser, startRegistry } from './registry.fixture.ts'
import { withClient } from './restart-rounds.ts'
import { instances as instanceRef, machines as machineRef, namespace } from './restart-workloads.ts'
import { isAlive, kubectlOf, start, startTandem, type TestTandem, until } from './tandem.fixture.ts'

const image = 'tandem.dev/minimal-vm:1'

interface MachineOptions {
  strategy?: string
  running?: boolean
  binding?: 'masquerade' | 'bridge'
  domain?: object
  spec?: object
  /** The containerDisk that it boots from. */
  root?: object
  /** Further disks, all on the virtio bus, in this order. */
  volumes?: { name: string; [source: string]: unknown }[]
}

function machine(name: string, options: MachineOptions = {}) {
  const volumes = [{ name: 'root', containerDisk: options.root ?? { image } }, ...(options.volumes ?? [])]
  return {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name },
    spec: {
      ...(options.running === undefined ? { runStrategy: options.strategy ?? 'Always' } : { running: options.running }),
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 60,
          ...options.spec,
          domain: {
            memory: { guest: '128Mi' },
            ...options.domain,
            devices: {
              disks: volumes.map(({ name }) => ({ name, disk: { bus: 'virtio' } })),
              interfaces: [{ name: 'default', [options.binding ?? 'masquerade']: {} }],
            },
          },
          networks: [{ name: 'default', pod: {} }],
          volumes,
        },
      },
    },
  }
}

const service = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ...spec },
})

const web = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', labels: { app: 'web' } },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'web',
        image: 'tandem.dev/busybox:1',
        command: ['sh', '-c', 'mkdir /www; echo Hello from the Pod > /www/index.html; exec httpd -f -p 8080 -h /www'],
      },
    ],
  },
}

const seed = {
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'seed' },
  stringData: { userdata: '#cloud-config\n# seeded from a Secret\n' },
}

const claim = {
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'data' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '64Mi' } } },
}

const hello = (name: string) => `Hello from the VM ${name}`

describe('virtual machines', () => {
  let tandem: TestTandem
  let api: HttpsTransport
  /** A guest that boots in a blink and obeys single letters. */
  let blink: { image: string }
  const consoles: GuestConsole[] = []

  async function shellOf(name: string): Promise<GuestShell> {
    const shell = await openShell(tandem.kubeconfig, name)
    consoles.push(shell)
    return shell
  }

  /** The console of a blink guest that is up: it echoes what is no command. */
  async function consoleOf(name: string): Promise<GuestConsole> {
    const console = await openConsole(tandem.kubeconfig, name)
    consoles.push(console)
    console.send('x')
    await console.expect(/x/, { again: 'x' })
    return console
  }

  const field = (kind: 'vm' | 'vmi', name: string, path: string) =>
    tandem.kubectl('get', kind, name, '-o', `jsonpath={${path}}`)
  /** An instance comes some time after its machine, and kubectl waits for what is there only. */
  const ready = async (...names: string[]) => {
    for (const name of names)
      await until(`${name} has an instance`, async () => (await tandem.tryKubectl(['get', 'vmi', name])).code === 0)
    await tandem.kubectl('wait', '--for=condition=Ready', ...names.map((name) => `vmi/${name}`), '--timeout=300s')
  }
  const printable = (name: string, status: string) =>
    tandem.kubectl('wait', `--for=jsonpath={.status.printableStatus}=${status}`, `vm/${name}`, '--timeout=300s')
  const instances = async () => (await tandem.kubectl('get', 'vmi', '-o', 'name')).split('\n').filter(Boolean)
  const address = (name: string) => field('vmi', name, '.status.interfaces[0].ipAddress')
  const uid = (name: string) => field('vmi', name, '.metadata.uid')
  const pidOf = (uid: string): number =>
    JSON.parse(readFileSync(join(tandem.stateDir, 'machines', uid, 'machine.json'), 'utf8')).process.pid
  const pid = async (name: string): Promise<number> => pidOf(await uid(name))
  /** There is an instance, and it is another one. */
  const replaced = (name: string, before: string) =>
    until(`${name} has a new instance`, async () => {
      const { code, stdout } = await tandem.tryKubectl(['get', 'vmi', name, '-o', 'jsonpath={.metadata.uid}'])
      return code === 0 && stdout !== before
    })
  const patch = (name: string, spec: object) =>
    tandem.kubectl('patch', 'vm', name, '--type=merge', '-p', JSON.stringify({ spec }))
  /** What kubectl describe says, once it says this: events are sent beside the status that they explain. */
  const described = (kind: 'vm' | 'vmi', name: string, pattern: RegExp) =>
    until(`${pattern} of ${kind} ${name}`, async () => pattern.test(await tandem.kubectl('describe', kind, name)))
  /** What a Pod is answered at this URL; a guest is ready for QEMU before its web server is. */
  const answers = (url: string, text: string) =>
    until(`${url} answers`, async () => {
      const command = ['timeout', '20', 'wget', '-qO-', url]
      return (await tandem.tryKubectl(['exec', 'web', '--', ...command])).stdout === text
    })

  /** kubectl has no verb for these. */
  async function put(kind: 'virtualmachines' | 'virtualmachineinstances', name: string, verb: string, body?: object) {
    const path = `/apis/subresources.kubevirt.io/v1/namespaces/default/${kind}/${name}/${verb}`
    const headers = { accept: 'application/json', 'content-type': 'application/json' }
    const query = new URLSearchParams()
    const answer = await api.transport({ method: 'PUT', path, query, headers, ...(body && { body }) })
    return { code: answer.status, message: messageOf(answer) }
  }

  before(async () => {
    tandem = await startTandem({ images: ['busybox', 'minimal-vm'] })
    blink = { image: await buildDiskImage(tandem, 'blink', (path) => writeFileSync(path, guestDisk())) }
    api = createHttpsTransport(accessFromKubeconfig(readFileSync(tandem.kubeconfig, 'utf8')))
    const disks = [
      { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
      { name: 'scratch', emptyDisk: { capacity: '32Mi' } },
      { name: 'seed', cloudInitNoCloud: { secretRef: { name: 'seed' } } },
    ]
    await tandem.apply([
      web,
      service('web', { ports: [{ port: 80, targetPort: 8080 }] }),
      seed,
      claim,
      machine('nat', { volumes: disks }),
      service('nat', { type: 'NodePort', ports: [{ port: 80 }] }),
      machine('plain', { binding: 'bridge', spec: { terminationGracePeriodSeconds: 0 } }),
      service('plain', { clusterIP: 'None', ports: [{ port: 80 }] }),
    ])
    await ready('nat', 'plain')
    await tandem.kubectl('wait', '--for=condition=Ready', 'pod/web', '--timeout=300s')
  })
  after(async () => {
    for (const console of consoles) console.close()
    api?.close()
    await tandem?.close()
  })

  test('kubectl shows them as KubeVirt does', async () => {
    const [machines = '', running = ''] = (await tandem.kubectl('get', 'vm,vmi', '-o', 'wide')).split('\n\n')
    assert.match(machines, /^NAME +AGE +STATUS +READY\n/)
    assert.match(machines, /virtualmachine\.kubevirt\.io\/nat +\S+ +Running +True/)
    assert.match(running, /^NAME +AGE +PHASE +IP +NODENAME +READY +LIVE-MIGRATABLE +PAUSED *\n/)
    assert.match(running, /\/plain +\S+ +Running +10\.\d+\.\d+\.\d+ +\S+ +True +True/)
    await described('vm', 'nat', /Normal +SuccessfulCreate .*creating the new virtual machine instance nat/)
    await described('vm', 'nat', /Printable Status: +Running/)
    await described('vmi', 'nat', /Normal +Started .*VirtualMachineInstance started\./)
  })

  test('a Pod reaches them by name, the host by NodePort', async () => {
    for (const [url, name] of [
      ['http://nat/', 'nat'],
      ['http://nat.default.svc.cluster.local/', 'nat'],
      ['http://plain/', 'minimal'],
    ] as const)
      await answers(url, `${hello(name)}\n`)
    const looked = await tandem.kubectl('exec', 'web', '--', 'nslookup', 'plain.default.svc.cluster.local')
    assert.match(looked, new RegExp(`Address: ${await address('plain')}\n`))
    const port = await tandem.kubectl('get', 'svc', 'nat', '-o', 'jsonpath={.spec.ports[0].nodePort}')
    for (const host of ['127.0.0.1', hostAddress()])
      assert.equal(await (await fetch(`http://${host}:${port}/`)).text(), `${hello('nat')}\n`)
  })

  test('they reach a Pod by name and the API, whatever the binding', async () => {
    for (const name of ['nat', 'plain']) {
      const shell = await shellOf(name)
      assert.match(
        await shell.run('cat /etc/resolv.conf'),
        /^search default\.svc\.cluster\.local svc\.cluster\.local cluster\.local$/m,
      )
      for (const url of ['http://web/', 'http://web.default/'])
        assert.equal(await shell.run(`wget -qO- ${url}`), 'Hello from the Pod')
      await shell.run('echo | nc -w 30 kubernetes 443')
      const own = await shell.run("ip -4 -o addr show dev eth0 | awk '{print $4}'")
      assert.equal(own.split('/')[0], name === 'plain' ? await address('plain') : '10.0.2.2')
      shell.close()
    }
    assert.equal(await (await shellOf('nat')).run('wget -qO- http://plain/'), hello('minimal'))
  })

  test('cloud-init data of a Secret, an emptyDisk and a claim are disks of the guest', async () => {
    const shell = await shellOf('nat')
    // The names come in the order of the disks: root, data, scratch, seed.
    assert.equal(await shell.run('hostname'), 'nat')
    assert.equal(await shell.run('cat /seed/user-data'), '#cloud-config\n# seeded from a Secret')
    assert.equal(await shell.run('cat /sys/block/vdc/size'), String((32 << 20) / 512))
    await shell.run('printf "scratch marker" | dd of=/dev/vdc conv=sync && sync')
    await shell.run('printf "claim marker" | dd of=/dev/vdb conv=sync && sync')
    const bound = await tandem.kubectl('get', 'pvc', 'data')
    assert.match(bound, /data +Bound +pvc-\S+ +64Mi +RWO +local/)
  })

  test('a reboot of the guest keeps its process and its address', async () => {
    const before = [await pid('plain'), await address('plain'), await uid('plain')]
    const shell = await shellOf('plain')
    await shell.run('touch /before')
    shell.type('reboot -f')
    await shell.expect(/tandem-minimal: ready at/)
    shell.close()
    const again = await shellOf('plain')
    await again.run('test ! -e /before')
    assert.equal(await again.run('wget -qO- http://web/'), 'Hello from the Pod')
    await answers('http://plain/', `${hello('minimal')}\n`)
    assert.deepEqual([await pid('plain'), await address('plain'), await uid('plain')], before)
  })

  test('kubectl debug: a container in the network of the guest, until the guest ends', async () => {
    const pod = (await tandem.kubectl('get', 'pod', '-l', 'vm.kubevirt.io/name=nat', '-o', 'name')).trim()
    const debug = (name: string, ...more: string[]) => [
      'debug',
      pod,
      '--image=tandem.dev/busybox:1',
      '-c',
      name,
      ...more,
    ]
    const look = 'until wget -qO- http://10.0.2.2/ 2> /dev/null; do sleep 1; done; ip -o link; exec sleep 1000'
    await tandem.kubectl(...debug('look', '--', 'sh', '-c', look))
    const state = () => tandem.kubectl('get', pod, '-o', 'jsonpath={.status.ephemeralContainerStatuses[0].state}')
    await until('it runs', async () => (await state()).includes('running'))
    const said = () => tandem.kubectl('logs', pod, '-c', 'look')
    const links = new RegExp(`^${hello('nat')}\n(?=[^]* tap0:)[^]* k6t-eth0:`)
    await until('it has looked', async () => links.test(await said()))
    const inside = (...command: string[]) => tandem.kubectl('exec', pod, '-c', 'look', '--', ...command)
    // Others know the guest by this address; its own name is not this machine's.
    assert.match(await inside('ip', '-4', '-o', 'addr', 'show', 'eth0'), new RegExp(await address('nat')))
    assert.equal(await inside('wget', '-qO-', 'http://web/'), 'Hello from the Pod\n')
    assert.match(await inside('hostname'), /^virt-launcher-nat-/)

    const environment = { ...process.env, KUBECONFIG: tandem.kubeconfig }
    const ask = debug('ask', '-i', '--target=compute', '--', 'sh', '-c', 'read word; echo "<$word>"; sleep 1')
    const asked = start(kubectlOf('trixie'), ask, environment)
    await until('it is attached', () => asked.output.includes('command prompt'))
    asked.child.stdin.write('spoken\n')
    await until('it answers', () => asked.output.includes('<spoken>'))
    asked.child.stdin.end()
    await until('it has ended', () => asked.ended)
    assert.match(asked.output, /targetContainerName: has no effect/)

    await inside('touch', '/mark')
    await tandem.kill()
    await tandem.up()
    await until('it is reached', async () =>
      (await tandem.tryKubectl(['exec', pod, '-c', 'look', '--', 'ls', '/mark'])).stdout.includes('/mark'),
    )
    const ended = () =>
      tandem.kubectl('get', pod, '-o', 'jsonpath={.status.ephemeralContainerStatuses[?(@.name=="ask")].state}')
    await until('the other one has ended', async () => (await ended()).includes('"exitCode":0'))

    // A bridge has the guest's frames only; what nobody asked for through the machine is not let in.
    const other = (await tandem.kubectl('get', 'pod', '-l', 'vm.kubevirt.io/name=plain', '-o', 'name')).trim()
    await tandem.kubectl('debug', other, '--image=tandem.dev/busybox:1', '-c', 'look', '--', 'sleep', '1000')
    await until('it sees the tap', async () => {
      const { stdout } = await tandem.tryKubectl(['exec', other, '-c', 'look', '--', 'ip', '-o', 'link'])
      return stdout.includes('tap0')
    })
    const [meta, uninvited] = [{ 'tandem.dev/beside-machine': 'nat' }, 'uninvited']
    await tandem.apply({ ...web, metadata: { name: uninvited, annotations: meta } })
    await until('it is refused', async () =>
      (await tandem.kubectl('events', '--for', `pod/${uninvited}`)).includes('"nat" does not list this Pod'),
    )
    await tandem.kubectl('delete', 'pod', uninvited, '--wait=false')

    const first = await uid('nat')
    await tandem.kubectl('delete', 'vmi', 'nat', '--wait=false')
    await replaced('nat', first)
    await until(
      'its containers are gone',
      async () => !(await tandem.kubectl('get', 'pods')).includes(`${pod.slice(4)}-`),
    )
    await ready('nat')
    const isUp = async () => (await tandem.tryKubectl(['logs', 'nat'])).stdout.includes('tandem-minimal: ready at')
    await until('the guest is up again', isUp)
  })

  test('the Pod of a machine: its log, its console, no exec without an agent; deleting it restarts the machine', async () => {
    const launcher = await tandem.kubectl('get', 'pod', '-l', 'vm.kubevirt.io/name=nat', '-o', 'name')
    const pod = launcher.trim()
    assert.match(pod, /^pod\/virt-launcher-nat-\w{5}$/)
    assert.match(await tandem.kubectl('logs', pod), /tandem-minimal: ready at/)
    const refused = await tandem.tryKubectl(['exec', 'nat', '--', 'true'])
    assert.match(refused.stderr, /VMI does not have guest agent connected/)
    const environment = { ...process.env, KUBECONFIG: tandem.kubeconfig }
    const attached = start(kubectlOf('trixie'), ['attach', '-i', 'nat'], environment)
    attached.child.stdin.write('echo "<$((6*7))>"\r')
    await until('the console answers', () => attached.output.includes('<42>'))
    attached.child.kill()
    const first = await uid('nat')
    await tandem.kubectl('delete', pod)
    await replaced('nat', first)
    await ready('nat')
    const isUp = async () => (await tandem.tryKubectl(['logs', 'nat'])).stdout.includes('tandem-minimal: ready at')
    await until('the guest is up again', isUp)
    const events = await tandem.kubectl('events', '--for', 'vmi/nat')
    assert.match(events, /ShuttingDown .*Signaled Graceful Shutdown/)
  })

  test('Halted shuts it down, Always starts it with its address and its data', async () => {
    const [ip, first, process] = [await address('nat'), await uid('nat'), await pid('nat')]
    await patch('nat', { runStrategy: 'Halted' })
    await printable('nat', 'Stopped')
    await until(
      'the instance is gone',
      async () => !(await instances()).includes('virtualmachineinstance.kubevirt.io/nat'),
    )
    assert.equal(isAlive(process), false)
    await patch('nat', { runStrategy: 'Always' })
    await replaced('nat', first)
    await ready('nat')
    assert.equal(await address('nat'), ip)
    const shell = await shellOf('nat')
    assert.equal(await shell.run('head -c 12 /dev/vdb'), 'claim marker')
    assert.equal(await shell.run('head -c 14 /dev/vdc | tr -d "\\0"'), '')
    const events = await tandem.kubectl('events', '--for', 'vm/nat')
    assert.match(events, /SuccessfulDelete .*deleting the virtual machine instance [0-9a-f-]{36}/)
  })

  test('pause, unpause, stop, start and restart by subresource', async () => {
    assert.deepEqual(await put('virtualmachines', 'nat', 'start'), {
      code: 409,
      message: refusal('nat', 'VM is already running'),
    })
    assert.equal((await put('virtualmachineinstances', 'nat', 'pause')).code, 200)
    await printable('nat', 'Paused')
    await tandem.kubectl('wait', '--for=condition=Paused', 'vmi/nat', '--timeout=300s')
    assert.match((await put('virtualmachineinstances', 'nat', 'pause')).message, /VMI is already paused/)
    assert.equal((await put('virtualmachineinstances', 'nat', 'unpause')).code, 200)
    await printable('nat', 'Running')
    assert.match((await put('virtualmachineinstances', 'nat', 'unpause')).message, /VMI is not paused/)

    const first = await uid('nat')
    assert.equal((await put('virtualmachines', 'nat', 'restart')).code, 202)
    await replaced('nat', first)
    await ready('nat')

    assert.equal((await put('virtualmachines', 'nat', 'stop', { gracePeriod: 0 })).code, 202)
    await printable('nat', 'Stopped')
    assert.equal(await field('vm', 'nat', '.spec.runStrategy'), 'Halted')
    assert.deepEqual(await put('virtualmachines', 'nat', 'stop'), {
      code: 409,
      message: refusal('nat', 'VM is not running'),
    })
    assert.equal((await put('virtualmachines', 'none', 'start')).code, 404)
  })

  test('what follows a poweroff in the guest is the run strategy’s choice', async () => {
    const names = ['always', 'rerun', 'manual', 'once']
    const strategies = ['Always', 'RerunOnFailure', 'Manual', 'Once']
    await tandem.apply([
      ...names.map((name, index) => machine(name, { strategy: strategies[index]!, root: blink })),
      machine('halted', { strategy: 'Halted', root: blink }),
    ])
    await printable('manual', 'Stopped')
    assert.equal((await put('virtualmachines', 'manual', 'start')).code, 202)
    await until(
      'the manual machine has its instance',
      async () => (await field('vm', 'manual', '.status.created')) === 'true',
    )
    await ready(...names)
    assert.equal(await field('vm', 'halted', '.status.printableStatus'), 'Stopped')
    assert.ok(!(await instances()).includes('virtualmachineinstance.kubevirt.io/halted'))
    assert.equal((await put('virtualmachines', 'halted', 'start')).code, 202)
    assert.equal(await field('vm', 'halted', '.spec.runStrategy'), 'Always')
    await replaced('halted', '')
    await tandem.kubectl('delete', 'vm', 'halted')
    const first = await uid('always')
    await Promise.all(
      names.map(async (name) => {
        const console = await consoleOf(name)
        console.send(guestKeys.powerOff)
      }),
    )
    for (const name of ['rerun', 'manual', 'once']) await printable(name, 'Stopped')
    assert.equal(await field('vmi', 'manual', '.status.phase'), 'Succeeded')
    assert.equal(await field('vmi', 'once', '.status.phase'), 'Succeeded')
    const over = 'virtualmachineinstance.kubevirt.io/rerun'
    await until('the instance of rerun is gone', async () => !(await instances()).includes(over))
    await replaced('always', first)
    await tandem.kubectl('delete', 'vm', 'manual', 'once', 'always')
  })

  test('a machine whose QEMU dies is started again: at once when it ran well, else after a back-off', async () => {
    const [ip, first] = [await address('plain'), await uid('plain')]
    process.kill(await pid('plain'), 'SIGKILL')
    await replaced('plain', first)
    await ready('plain')
    assert.equal(await address('plain'), ip)
    await tandem.kubectl('delete', 'vm', 'plain')

    assert.equal((await put('virtualmachines', 'rerun', 'start')).code, 202)
    // As soon as it is up, without a kubectl that takes seconds: who ran for ten of them has not failed to start.
    let killed = ''
    const failure = await withClient(tandem, (client) =>
      until('it waits', async () => {
        const all = (await client.list(instanceRef, { namespace })).items
        const instance = all.find(({ metadata }) => metadata.name === 'rerun' && metadata.uid !== killed)
        if (instance?.status?.conditions?.some((one: any) => one.type === 'Ready' && one.status === 'True')) {
          killed = instance.metadata.uid
          process.kill(pidOf(killed), 'SIGKILL')
        }
        const { status } = await client.get(machineRef, 'rerun', namespace)
        return status?.printableStatus === 'CrashLoopBackOff' && status.startFailure
      }),
    )
    assert.equal(failure.consecutiveFailCount, 1)
    await replaced('rerun', killed)
    await ready('rerun')
    await tandem.kubectl('delete', 'vm', 'rerun')
  })

  test('a disk image in a private registry needs its pull secret', async () => {
    const registry = await startRegistry(tandem)
    try {
      const { name, password } = registryUser
      const server = `--docker-server=${registry.address}`
      const login = [server, `--docker-username=${name}`, `--docker-password=${password}`]
      await tandem.kubectl('create', 'secret', 'docker-registry', 'puller', ...login)
      const disk = { image: await registry.push('minimal-vm') }
      await tandem.apply([
        machine('stranger', { root: disk }),
        machine('friend', { root: { ...disk, imagePullSecret: 'puller' }, spec: { terminationGracePeriodSeconds: 0 } }),
      ])
      await printable('stranger', 'ErrImagePull')
      await printable('friend', 'Running')
      await tandem.kubectl('delete', 'vm', 'stranger', 'friend')
    } finally {
      registry.close()
    }
  })

  test('UEFI, spec.running and limits', async () => {
    const efi = machine('efi', {
      running: true,
      domain: {
        memory: { guest: '256Mi' },
        firmware: { bootloader: { efi: { secureBoot: false } } },
        resources: { limits: { cpu: '1', memory: '256Mi' } },
      },
    })
    const applied = await tandem.tryKubectl(['apply', '-f', '-'], JSON.stringify(efi))
    assert.match(applied.stderr, /Warning: spec\.running is deprecated, please use spec\.runStrategy instead\./)
    await replaced('efi', '')
    await ready('efi')
    const shell = await shellOf('efi')
    await shell.run('test -d /sys/firmware/efi')
    assert.equal(await field('vmi', 'efi', '.status.qosClass'), 'Guaranteed')
    const limits = limitsOf(instanceOf(tandem.stateDir), await uid('efi'))
    assert.deepEqual(limits.cpu, [100_000, 100_000])
    assert.ok(limits.memory > 256 << 20 && limits.memory < 1024 << 20, `${limits.memory}`)
    await patch('efi', { running: false })
    await printable('efi', 'Stopped')
    await tandem.kubectl('delete', 'vm', 'efi')
  })

  test('a guest that does not react is stopped by force when its grace is over', async () => {
    await tandem.apply(machine('deaf', { root: blink, spec: { terminationGracePeriodSeconds: 15 } }))
    await replaced('deaf', '')
    await ready('deaf')
    const console = await consoleOf('deaf')
    console.send(`${guestKeys.ignoreButton}y`)
    await console.expect(/y/)
    const process = await pid('deaf')
    const started = Date.now()
    // Side by side: on a slow machine the one kubectl takes as long to start as the guest is given.
    await Promise.all([printable('deaf', 'Terminating'), tandem.kubectl('delete', 'vm', 'deaf', '--wait=false')])
    await until('QEMU is gone', () => !isAlive(process))
    assert.ok(Date.now() - started >= 15_000, 'it had fifteen seconds')
    await until('the machine is gone', async () => (await tandem.tryKubectl(['get', 'vm', 'deaf'])).code === 1)
    assert.ok(!(await instances()).includes('virtualmachineinstance.kubevirt.io/deaf'))
  })
})

function messageOf(answer: ApiResponse): string {
  const { message } = (answer.object ?? {}) as { message?: string }
  return message ?? answer.text ?? ''
}

const refusal = (name: string, text: string) =>
  `Operation cannot be fulfilled on virtualmachine.kubevirt.io "${name}": ${text}`

function hostAddress(): string {
  const addresses = Object.entries(networkInterfaces()).flatMap(([name, list]) =>
    /^(lo|veth|td)/.test(name) ? [] : (list ?? []),
  )
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}

/** What the kernel says: [quota, period] of the processors, bytes of memory. */
function limitsOf(instance: string, uid: string): { cpu: number[]; memory: number } {
  const read = (...path: string[]) => readFileSync(join('/sys/fs/cgroup', ...path), 'utf8').trim()
  const group = join(`tandem-${instance}`, 'machines', uid)
  try {
    return { cpu: read(group, 'cpu.max').split(' ').map(Number), memory: Number(read(group, 'memory.max')) }
  } catch {
    const cpu = ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((file) => Number(read('cpu', group, file)))
    return { cpu, memory: Number(read('memory', group, 'memory.limit_in_bytes')) }
  }
}
