// The network for real: Pods by CNI, a VM's namespace with a guest that asks for its address, Services, DNS, and nothing
// left behind. Needs root. Run: node --test test/e2e/network.test.ts

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { silentLogger } from '../../src/base/log.ts'
import { run } from '../../src/host/exec.ts'
import { addToNetwork, type ConfList, removeFromNetwork } from '../../src/host/network/cni.ts'
import { askFor, recordsOf } from '../../src/host/network/dns-message.ts'
import { createNetwork, type RunningNetwork } from '../../src/host/network/routed-network.ts'
import { createUpstream } from '../../src/host/network/upstream.ts'
import { statePaths } from '../../src/host/state.ts'
import { enterRoom, fakeCluster } from './network-room.ts'

const instance = `f${process.pid.toString(16).slice(-3).padStart(3, '0')}`
const netnsDir = '/run/netns'
const children: ChildProcess[] = []
const made: string[] = []
const cluster = fakeCluster()
let dir: string
let network: RunningNetwork
let untouched: string

const snapshot = async () => {
  const [links, routes, rules] = await Promise.all([
    run(['ip', '-br', 'link']),
    run(['ip', 'route', 'show', 'table', 'all']),
    run(['nft', 'list', 'ruleset']),
  ])
  const switches = ['ip_forward', 'conf/all/route_localnet'].map((name) => readFileSync(`/proc/sys/net/ipv4/${name}`))
  return [links.stdout, routes.stdout, rules.stdout, ...switches].join('\n')
}

const inside = (netns: string, ...argv: string[]) => ['nsenter', `--net=${netnsDir}/${netns}`, ...argv]

async function makePod(name: string): Promise<string> {
  const netns = `tdtestpod-${instance}-${name}`
  made.push(netns)
  await run(['ip', 'netns', 'add', netns])
  await run(inside(netns, 'ip', 'link', 'set', 'lo', 'up'))
  const result = await addToNetwork(podList(), attachment(netns))
  return result.ips![0]!.address.split('/')[0]!
}

const podList = () => JSON.parse(readFileSync(paths().cni.podConfList, 'utf8')) as ConfList
const attachment = (netns: string) => ({ containerId: netns, netns: `${netnsDir}/${netns}`, interfaceName: 'eth0' })
const podNamespace = (name: string) => `tdtestpod-${instance}-${name}`
const paths = () => statePaths(dir, instance)

/** A server that answers each connection with its name and the client's address. */
async function serve(netns: string, port: number, name: string, protocol: 'TCP' | 'UDP' = 'TCP'): Promise<void> {
  const listen = protocol === 'TCP' ? `TCP-LISTEN:${port},fork,reuseaddr` : `UDP-RECVFROM:${port},fork,reuseaddr`
  const command = `read -r line; echo ${name} $SOCAT_PEERADDR`
  children.push(
    spawn('nsenter', [`--net=${netnsDir}/${netns}`, 'socat', listen, `SYSTEM:${command}`], { stdio: 'ignore' }),
  )
  const probe = protocol === 'TCP' ? ['-ltnH'] : ['-lunH']
  await until(async () => (await run(inside(netns, 'ss', ...probe, `sport = :${port}`))).stdout.trim() !== '')
}

async function until(check: () => Promise<boolean> | boolean, ms = 120_000): Promise<void> {
  for (const end = Date.now() + ms; !(await check()); ) {
    if (Date.now() > end) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** What a server says to a client in the namespace, or on the machine itself ('' = here). */
async function call(netns: string, address: string, port: number, protocol = 'TCP'): Promise<string> {
  const argv = [
    'socat',
    '-T30',
    '-t30',
    '-',
    `${protocol}:${address}:${port}${protocol === 'TCP' ? ',connect-timeout=30' : ''}`,
  ]
  const { stdout, stderr } = await run(netns ? inside(netns, ...argv) : argv, {
    input: 'hello\n',
    allowFailure: true,
    timeoutMs: 60_000,
  })
  return stdout.trim() || stderr.trim()
}

function service(
  name: string,
  spec: object,
  endpoints: { ip: string; ready?: boolean }[],
  target = 8080,
  protocol = 'TCP',
) {
  cluster.put('services', { metadata: { name }, spec })
  cluster.put('endpointslices', {
    metadata: { name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: '', port: target, protocol }],
    endpoints: endpoints.map(({ ip, ready = true }) => ({ addresses: [ip], conditions: { ready } })),
  })
}

async function makeNetwork(): Promise<RunningNetwork> {
  const ranges = { podCidr: '10.42.0.0/16', serviceCidr: '10.43.0.0/16' }
  const created = createNetwork({
    instance,
    paths: paths(),
    ...ranges,
    clusterDomain: 'cluster.local',
    nodeName: 'node-1',
    informers: cluster,
    log: silentLogger,
  })
  await created.start()
  return created
}

const machine = (binding: 'masquerade' | 'bridge', name: string) => ({
  uid: `00000000-0000-4000-8000-${name.padEnd(12, '0')}`.toLowerCase(),
  namespace: 'default',
  name,
  binding,
  hostname: name,
  tapOwner: 65534,
})

if (enterRoom(import.meta.filename)) {
  let podA = ''
  let podB = ''

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'tandem-network-'))
    untouched = await snapshot()
    network = await makeNetwork()
    ;[podA, podB] = await Promise.all([makePod('a'), makePod('b')])
    await Promise.all([serve(podNamespace('a'), 8080, 'a'), serve(podNamespace('b'), 8080, 'b')])
  })

  after(async () => {
    for (const child of children) child.kill('SIGKILL')
    for (const netns of made) await run(['ip', 'netns', 'delete', netns], { allowFailure: true })
    await network.removeAll()
    rmSync(dir, { recursive: true, force: true })
    rmSync(`/run/tandem-${instance}`, { recursive: true, force: true })
  })

  test('Pods reach each other and the machine, with their own addresses', async () => {
    assert.match(podA, /^10\.42\.\d+\.\d+$/)
    assert.equal(await call(podNamespace('a'), podB, 8080), `b ${podA}`)
    assert.match(await call('', podA, 8080), /^a /)
    await run(inside(podNamespace('a'), 'busybox', 'ping', '-c1', '-W30', '10.42.0.1'))
  })

  test('a Service spreads over its ready endpoints and follows their changes', async () => {
    service('web', { clusterIP: '10.43.0.20', ports: [{ port: 80 }] }, [{ ip: podA }, { ip: podB }])
    await network.settled()
    const seen = new Set<string>()
    for (let round = 0; round < 20; round++) seen.add((await call('', '10.43.0.20', 80)).split(' ')[0]!)
    assert.deepEqual([...seen].sort(), ['a', 'b'])
    service('web', { clusterIP: '10.43.0.20', ports: [{ port: 80 }] }, [{ ip: podA, ready: false }, { ip: podB }])
    await network.settled()
    for (let round = 0; round < 5; round++)
      assert.equal(await call(podNamespace('a'), '10.43.0.20', 80), `b ${podA}`, 'the client keeps its address')
  })

  test('a Pod meets itself behind a Service', async () => {
    service('self', { clusterIP: '10.43.0.21', ports: [{ port: 80 }] }, [{ ip: podA }])
    await network.settled()
    assert.equal(await call(podNamespace('a'), '10.43.0.21', 80), 'a 10.42.0.1')
  })

  test('no endpoint, and no such Service: refused at once', async () => {
    service('empty', { clusterIP: '10.43.0.22', ports: [{ port: 80 }] }, [])
    await network.settled()
    for (const from of ['', podNamespace('a')])
      for (const address of ['10.43.0.22', '10.43.0.99']) {
        const started = Date.now()
        assert.match(await call(from, address, 80), /Connection refused/)
        // Whom nobody refuses waits for half a minute.
        assert.ok(Date.now() - started < 20_000)
      }
  })

  test('a NodePort answers on the loopback address, on the machine and for Pods', async () => {
    const spec = { type: 'NodePort', clusterIP: '10.43.0.23', ports: [{ port: 80, nodePort: 30080 }] }
    service('node', spec, [{ ip: podA }])
    await network.settled()
    for (const address of ['127.0.0.1', '10.42.0.1']) assert.match(await call('', address, 30080), /^a /)
    assert.equal(await call(podNamespace('b'), '10.42.0.1', 30080), `a ${podB}`)
  })

  test('a client stays with its endpoint under session affinity', async () => {
    const spec = { clusterIP: '10.43.0.24', sessionAffinity: 'ClientIP', ports: [{ port: 80 }] }
    service('sticky', spec, [{ ip: podA }, { ip: podB }])
    await network.settled()
    const seen = new Set<string>()
    for (let round = 0; round < 12; round++) seen.add(await call('', '10.43.0.24', 80))
    assert.equal(seen.size, 1)
  })

  test('UDP goes the same way, also after an endpoint was replaced', async () => {
    await Promise.all([serve(podNamespace('a'), 9000, 'a', 'UDP'), serve(podNamespace('b'), 9000, 'b', 'UDP')])
    const spec = { clusterIP: '10.43.0.25', ports: [{ port: 90, protocol: 'UDP' }] }
    service('udp', spec, [{ ip: podA }], 9000, 'UDP')
    await network.settled()
    const from = 'UDP:10.43.0.25:90,sourceport=40001'.split(':').slice(1).join(':')
    const ask = () => run(['socat', '-T1', '-t1', '-', `UDP:${from}`], { input: 'x\n', allowFailure: true })
    // Nobody sends a datagram again for an answer that was late.
    await until(async () => /^a /.test((await ask()).stdout))
    service('udp', spec, [{ ip: podB }], 9000, 'UDP')
    await network.settled()
    await until(async () => /^b /.test((await ask()).stdout))
  })

  test('a hostPort of a Pod', async () => {
    cluster.put('pods', {
      metadata: { name: 'web' },
      spec: { containers: [{ ports: [{ containerPort: 8080, hostPort: 8081 }] }] },
      status: { phase: 'Running', podIP: podB },
    })
    await network.settled()
    assert.match(await call('', '127.0.0.1', 8081), /^b /)
    cluster.drop('pods', 'default/web')
    await network.settled()
    assert.match(await call('', '127.0.0.1', 8081), /Connection refused/)
  })

  test('cluster DNS answers Pods and the machine', async () => {
    const lookup = (netns: string, name: string, server = network.dnsAddress) =>
      run([...(netns ? inside(netns) : []), 'busybox', 'nslookup', '-type=a', name, server], { allowFailure: true })
    assert.match((await lookup(podNamespace('a'), 'web.default.svc.cluster.local')).stdout, /Address: 10\.43\.0\.20/)
    assert.match((await lookup('', 'web.default.svc.cluster.local')).stdout, /Address: 10\.43\.0\.20/)
    const missing = await lookup(podNamespace('a'), 'nobody.default.svc.cluster.local')
    assert.match(missing.stdout + missing.stderr, /NXDOMAIN/)
  })

  test('other names are asked of the name servers of the machine, past one that is silent, by UDP and TCP', async () => {
    const port = 5355
    const options = ['--no-daemon', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--bind-interfaces']
    const records = ['--address=/example.test/192.0.2.55', '--listen-address=127.0.0.9', `--port=${port}`]
    children.push(spawn('dnsmasq', [...options, ...records], { stdio: 'ignore' }))
    await until(async () => (await run(['ss', '-lunH', `sport = :${port}`])).stdout.trim() !== '')
    const resolvConf = join(dir, 'resolv.conf')
    writeFileSync(resolvConf, 'nameserver 127.0.0.8\nnameserver 127.0.0.9\n')
    const upstream = createUpstream({ resolvConf, exclude: [network.dnsAddress], port })
    for (const transport of ['udp', 'tcp'] as const) {
      const reply = await upstream.ask(askFor('www.example.test', 'A'), transport)
      assert.deepEqual(
        recordsOf(reply).map(({ data }) => data),
        ['192.0.2.55'],
      )
    }
  })

  test('one Pod cannot use the address of another, nor that of the machine', async () => {
    for (const foreign of ['10.42.99.99', '10.42.0.1']) assert.equal(await arrives(podNamespace('a'), foreign), false)
    // The proof that the way itself is open.
    assert.equal(await arrives(podNamespace('a'), podA), true)
  })

  /** Whether a datagram with this source comes through to b; an honest one that is sent after it always does. */
  async function arrives(from: string, source: string): Promise<boolean> {
    const file = join(dir, 'received')
    rmSync(file, { force: true })
    const receive = ['socat', '-u', 'UDP-RECV:7000', `OPEN:${file},creat,append`]
    const child = spawn('nsenter', [`--net=${netnsDir}/${podNamespace('b')}`, ...receive], { stdio: 'ignore' })
    await until(async () => (await run(inside(podNamespace('b'), 'ss', '-lunH', 'sport = :7000'))).stdout.trim() !== '')
    const isOwn = (await run(inside(from, 'ip', 'address', 'show'))).stdout.includes(` ${source}/`)
    if (!isOwn) await run(inside(from, 'ip', 'address', 'add', `${source}/32`, 'dev', 'lo'))
    const send = (text: string, options = '') =>
      run(inside(from, 'socat', '-u', '-', `UDP:${podB}:7000${options}`), { input: text, allowFailure: true })
    await send('first ', `,bind=${source}`)
    if (!isOwn) await run(inside(from, 'ip', 'address', 'delete', `${source}/32`, 'dev', 'lo'))
    await send('second ')
    await until(() => existsSync(file) && readFileSync(file, 'utf8').includes('second'))
    // Until it has gone it holds the port, and the next look would find it instead of its own.
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    return readFileSync(file, 'utf8').includes('first')
  }

  /** Until it is a member of the network. */
  async function attach(request: ReturnType<typeof machine>) {
    const attached = await network.attachMachine(request)
    await attached.joined
    return attached
  }

  for (const binding of ['masquerade', 'bridge'] as const) {
    test(`a guest with ${binding} gets its address by DHCP and is a member of the network`, async (t) => {
      const request = machine(binding, binding === 'bridge' ? 'bb' : 'aa')
      const started = performance.now()
      const attached = await attach(request)
      t.diagnostic(`attached in ${Math.round(performance.now() - started)} ms`)
      const guest = await makeGuest(request.uid, attached.tap, attached.mac)
      await leaseFor(guest)
      const shown = readFileSync(join(dir, `${guest}.lease`), 'utf8')
      assert.match(shown, new RegExp(`ip=${attached.guestAddress.replaceAll('.', '\\.')}\n`))
      assert.match(shown, /dns=10\.43\.0\.10/)
      assert.match(shown, /search=default\.svc\.cluster\.local svc\.cluster\.local cluster\.local/)
      assert.match(shown, new RegExp(`hostname=${request.hostname}\n`))
      assert.match(shown, new RegExp(`mtu=${attached.mtu}\n`))
      await serve(guest, 8080, 'guest')
      assert.equal(await call(podNamespace('a'), attached.address, 8080), `guest ${podA}`, 'a Pod reaches the guest')
      assert.match(await call('', attached.address, 8080), /^guest /, 'the machine reaches the guest')
      assert.equal(await call(guest, podB, 8080), `b ${attached.address}`, 'the guest reaches a Pod')
      service('vm', { clusterIP: '10.43.0.30', ports: [{ port: 80 }] }, [{ ip: attached.address }])
      await network.settled()
      assert.equal(await call(podNamespace('a'), '10.43.0.30', 80), `guest ${podA}`, 'through a Service')
      assert.equal(await call(guest, '10.43.0.30', 80), 'guest 10.42.0.1', 'the guest meets itself')
      const { stdout } = await run(
        inside(guest, 'busybox', 'nslookup', '-type=a', 'web.default.svc.cluster.local', '10.43.0.10'),
      )
      assert.match(stdout, /10\.43\.0\.20/, 'the guest resolves names')
      await run(inside(podNamespace('a'), 'busybox', 'ping', '-c1', '-W30', attached.address))
      for (const foreign of [podA, '10.0.2.99', '192.0.2.1'])
        assert.equal(await arrives(guest, foreign), false, foreign)
      assert.equal(await arrives(guest, attached.guestAddress), true)
      await repairs(request, attached.netns)
      assert.match(await call(podNamespace('a'), attached.address, 8080), /^guest /, 'still there after repairs')
      await network.detachMachine(request.uid)
      assert.ok(!existsSync(attached.netns))
      const again = await attach({ ...request, uid: `${request.uid.slice(0, -1)}f` })
      assert.equal(again.address, attached.address, 'the same VM has the same address')
      assert.deepEqual(await network.attachedMachines(), [`${request.uid.slice(0, -1)}f`])
      await network.detachMachine(`${request.uid.slice(0, -1)}f`)
    })
  }

  /** Breaks the VM's namespace in several ways; attaching again repairs it. */
  async function repairs(request: ReturnType<typeof machine>, netns: string): Promise<void> {
    const pidFile = join(`/run/tandem-${instance}/dhcp`, `${request.uid}.pid`)
    const pid = Number(readFileSync(pidFile, 'utf8'))
    await attach(request)
    assert.equal(Number(readFileSync(pidFile, 'utf8')), pid, 'what runs is left alone')
    process.kill(pid, 'SIGKILL')
    await run(['nsenter', `--net=${netns}`, 'nft', 'flush', 'ruleset'])
    await attach(request)
    assert.notEqual(Number(readFileSync(pidFile, 'utf8')), pid)
  }

  /** A guest without QEMU: a namespace whose only interface stands where the tap's user would be. */
  async function makeGuest(uid: string, _tap: string, mac: string): Promise<string> {
    const netns = `tdtestguest-${instance}-${uid.slice(-12, -10)}`
    made.push(netns)
    const vmNetns = `tandem-${instance}-${uid}`
    await run(['ip', 'netns', 'add', netns])
    // The tap itself has no carrier without a program that holds it; a veth with its name behaves the same for the rest.
    await run(inside(vmNetns, 'ip', '-batch', '-'), {
      input: [
        'link delete tap0',
        `link add tap0 type veth peer name eth0 address ${mac} netns ${netns}`,
        'link set tap0 master k6t-eth0 up',
      ].join('\n'),
    })
    await run(inside(netns, 'ip', 'link', 'set', 'lo', 'up'))
    await run(inside(netns, 'ip', 'link', 'set', 'eth0', 'up'))
    return netns
  }

  async function leaseFor(netns: string): Promise<void> {
    const script = join(dir, `${netns}.sh`)
    const lines = [
      '#!/bin/busybox sh',
      '[ "$1" = bound ] || exit 0',
      'busybox ip address add $ip/$mask dev $interface',
      'busybox ip route add default via $router',
      `busybox env >${join(dir, `${netns}.lease`)}`,
    ]
    writeFileSync(script, `${lines.join('\n')}\n`, { mode: 0o755 })
    const argv = [
      'busybox',
      'udhcpc',
      '-i',
      'eth0',
      '-s',
      script,
      '-q',
      '-n',
      '-t',
      '60',
      '-T',
      '1',
      '-O',
      'search',
      '-O',
      'mtu',
    ]
    await run(inside(netns, ...argv))
  }

  test('QEMU without rights opens the tap, and its boot firmware gets the address by DHCP, with both bindings', async () => {
    await Promise.all([bootFirmware(machine('masquerade', 'ff')), bootFirmware(machine('bridge', 'ee'))])
  })

  async function bootFirmware(request: ReturnType<typeof machine>): Promise<void> {
    const { tap, mac, guestAddress, mtu, netns } = await attach(request)
    const card = `virtio-net-pci,netdev=n,mac=${mac},host_mtu=${mtu}`
    const backend = `tap,id=n,ifname=${tap},script=no,downscript=no`
    const qemu = ['qemu-system-x86_64', '-accel', 'tcg', '-nodefaults', '-m', '64', '-machine', 'pc,graphics=off']
    const argv = [...qemu, '-display', 'none', '-serial', 'stdio', '-boot', 'n', '-netdev', backend, '-device', card]
    const user = [
      'setpriv',
      '--reuid=65534',
      '--regid=65534',
      '--clear-groups',
      '--no-new-privs',
      '--bounding-set=-all',
    ]
    const child = spawn('nsenter', [`--net=${netns}`, ...user, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] })
    children.push(child)
    let shown = ''
    const listen = (chunk: Buffer) => {
      shown += chunk
    }
    child.stdout.on('data', listen)
    child.stderr.on('data', listen)
    await until(() => shown.includes(`net0: ${guestAddress}/`), 300_000).catch((error: Error) => {
      throw new Error(`${error.message}; the guest said: ${shown}`)
    })
    child.kill('SIGKILL')
    await network.detachMachine(request.uid)
  }

  test('two attachments at once, and one that was killed half-way', async () => {
    const half = machine('masquerade', 'cc')
    mkdirSync(netnsDir, { recursive: true })
    writeFileSync(join(netnsDir, `tandem-${instance}-${half.uid}`), '')
    const [one, two] = await Promise.all([attach(half), attach(machine('masquerade', 'dd'))])
    assert.notEqual(one.address, two.address)
    await network.releaseAddress('default', 'cc')
  })

  test('a restart takes over what runs', async () => {
    const attached = await network.attachedMachines()
    assert.equal(attached.length, 2)
    await network.stop()
    assert.match(await call('', '10.43.0.21', 80), /^a /, 'Services go on while Tandem is down')
    network = await makeNetwork()
    await network.settled()
    assert.deepEqual((await network.attachedMachines()).sort(), attached.sort())
    assert.match(await call('', '10.43.0.21', 80), /^a /)
  })

  test('removeAll leaves nothing', async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    for (const netns of made.splice(0)) {
      if (netns.startsWith('tdtestpod')) await removeFromNetwork(podList(), attachment(netns))
      await run(['ip', 'netns', 'delete', netns])
    }
    await network.removeAll()
    // The kernel takes a moment for the interfaces of a namespace that has gone.
    await until(async () => (await snapshot()) === untouched, 30_000).catch(() => {})
    assert.equal(await snapshot(), untouched)
    assert.deepEqual(await network.attachedMachines(), [])
    assert.ok(!existsSync(`/run/tandem-${instance}/dhcp`))
    await network.removeAll()
  })
}
