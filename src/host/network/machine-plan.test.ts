import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dhcpConfig } from './dhcp.ts'
import { type LinkState, linkLines, machineRules, macOf, planMachine, portLines, twinLines } from './machine-plan.ts'
import type { MachineNetworkRequest } from './network.ts'

const pod = { address: '10.42.128.1', cidr: '10.42.0.0/16', gateway: '10.42.0.1', mtu: 1400, instance: '1a2b' }
const request = (more: Partial<MachineNetworkRequest> = {}): MachineNetworkRequest => ({
  uid: 'u-1',
  namespace: 'default',
  name: 'db',
  binding: 'masquerade',
  mac: '02:00:00:00:00:10',
  hostname: 'db',
  tapOwner: 64,
  ...more,
})
const masquerade = planMachine(request(), pod)
const bridged = planMachine(request({ binding: 'bridge' }), pod)
const link = (ifname: string, more = {}): LinkState => ({ ifname, ifindex: 2, ...more })

test('masquerade: a private network of its own', () => {
  assert.deepEqual([masquerade.guestAddress, masquerade.router, masquerade.guestPrefix], ['10.0.2.2', '10.0.2.1', 24])
  const own = planMachine(request({ vmNetworkCidr: '192.168.5.0/28' }), pod)
  assert.deepEqual([own.guestAddress, own.bridgeAddress], ['192.168.5.2', '192.168.5.1/28'])
  assert.throws(() => planMachine(request({ vmNetworkCidr: '10.0.0.0/31' }), pod), /no room/)
})

test('bridge: the guest has the pod address', () => {
  assert.deepEqual([bridged.guestAddress, bridged.router, bridged.guestPrefix], ['10.42.128.1', '10.42.0.1', 16])
})

test('a MAC address is made from the name, or must be one', () => {
  const made = macOf('1a2b', 'default/db')
  assert.match(made, /^02(:[0-9a-f]{2}){5}$/)
  assert.notEqual(made, macOf('1a2b', 'default/web'))
  assert.notEqual(made, macOf('ffff', 'default/db'))
  assert.equal(planMachine(request({ mac: '02-AB-00-00-00-01' }), pod).mac, '02:ab:00:00:00:01')
  for (const mac of ['01:00:00:00:00:01', '02:00', 'x', '02:00:00:00:00:01 master x'])
    assert.throws(() => planMachine(request({ mac }), pod), /is not the MAC address/)
})

test('a fresh namespace gets everything', () => {
  assert.deepEqual(linkLines(masquerade, [link('lo')]), [
    'link set dev lo up',
    'tuntap add dev tap0 mode tap user 64 vnet_hdr',
    'link add k6t-eth0 address 02:00:00:00:00:00 type bridge',
    'link set dev k6t-eth0 mtu 1400 addrgenmode none',
    'address replace 10.0.2.1/24 dev k6t-eth0',
    'link set dev tap0 mtu 1400 addrgenmode none master k6t-eth0 up',
    'link set dev k6t-eth0 up',
  ])
  assert.deepEqual(portLines(masquerade, []), [])
})

test('a tap that a cut start left to another user is made anew', () => {
  const owned = (user: number | string) => [link('tap0', { linkinfo: { info_data: { user } } }), link('k6t-eth0')]
  assert.deepEqual(linkLines(masquerade, owned(65)).slice(1, 3), [
    'link delete dev tap0',
    'tuntap add dev tap0 mode tap user 64 vnet_hdr',
  ])
  for (const user of [64, 'somebody']) assert.doesNotMatch(linkLines(masquerade, owned(user)).join(), /delete|tuntap/)
})

test('with bridge the pod interface becomes a port, once', () => {
  const takesOver = 'link set dev eth0 addrgenmode none address 02:00:00:00:00:11 master k6t-eth0'
  assert.ok(portLines(bridged, [link('eth0')]).includes(takesOver))
  const done = [link('eth0', { master: 'k6t-eth0' }), link('tap0'), link('k6t-eth0')]
  const lines = [...linkLines(bridged, done), ...portLines(bridged, done)]
  assert.ok(!lines.some((line) => /flush|add /.test(line)), lines.join('\n'))
})

test('two taps take turns while a guest moves from one QEMU to another', () => {
  const first = [link('tap0', { mtu: 1400 })]
  assert.deepEqual(twinLines(true, 64, first), [
    'tuntap add dev tap0b mode tap user 64 vnet_hdr',
    'link set dev tap0b mtu 1400 addrgenmode none master k6t-eth0 up',
  ])
  assert.deepEqual(twinLines(false, 64, [link('tap0'), link('tap0b', { mtu: 1400 })]), [
    'link set dev tap0 mtu 1400 addrgenmode none master k6t-eth0 up',
  ])
  assert.match(machineRules(bridged), /iifname != \{ "tap0", "tap0b" \} accept/, 'neither is free of the guard')
})

test('rules: all ports or the listed ones, and no address but its own', () => {
  assert.match(machineRules(masquerade), /iifname "eth0" dnat ip to 10\.0\.2\.2\n/)
  const some = planMachine(
    request({
      ports: [
        { port: 22, protocol: 'TCP' },
        { port: 53, protocol: 'UDP' },
      ],
    }),
    pod,
  )
  assert.match(machineRules(some), /iifname "eth0" tcp dport 22 dnat ip to 10\.0\.2\.2\n.*udp dport 53 dnat/s)
  assert.doesNotMatch(machineRules(some), /iifname "eth0" dnat/)
  assert.match(machineRules(bridged), /ether saddr != 02:00:00:00:00:10 drop/)
})

const names = {
  hostname: 'db',
  domain: 'default.svc.cluster.local',
  nameservers: ['10.43.0.10', 'fd00::1'],
  searches: ['default.svc.cluster.local', 'svc.cluster.local'],
}

test('DHCP: one address for one guest, with all it needs to find the others', () => {
  const lines = dhcpConfig(masquerade, names, '/run/x.pid').split('\n')
  for (const line of [
    'port=0',
    'user=nobody',
    'dhcp-range=10.0.2.2,static,255.255.255.0,infinite',
    'dhcp-host=02:00:00:00:00:10,10.0.2.2,db,infinite',
    'dhcp-option=option:router,10.0.2.1',
    'dhcp-option=option:dns-server,10.43.0.10',
    'dhcp-option-force=option:domain-search,default.svc.cluster.local,svc.cluster.local',
    'dhcp-option-force=option:mtu,1400',
  ])
    assert.ok(lines.includes(line), line)
  assert.ok(dhcpConfig(bridged, names, '/run/x.pid').includes('shared-network=k6t-eth0,10.42.128.1\n'))
})

test('no name brings an option of its own (S11)', () => {
  for (const evil of ['db\ndhcp-script=/bin/sh', 'db,option', '$(x)', '-x', ''])
    for (const wrong of [{ hostname: evil }, { domain: evil }, { searches: [evil] }])
      assert.throws(() => dhcpConfig(masquerade, { ...names, ...wrong }, '/run/x.pid'), /is not a DNS name/)
})
