// Which cards come and go, where they go, and what the status says of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { qemuArgs } from './args.ts'
import { isSameHardware } from './hibernate.ts'
import { cardStep, isCardDue, type PluggedCard, plugCardCalls, preparedPlug } from './hotplug-card-plan.ts'
import { interfaceStatus } from './hotplug-card-status.ts'
import { freePlace } from './hotplug-plan.ts'
import { planOf } from './plan.fixture.ts'
import type { StartedMachine } from './record.ts'
import type { Interface, VmiSpec } from './vmi.ts'

const pod: Interface = { name: 'default', masquerade: {} }
const bridge = (name: string, more: object = {}): Interface => ({ name, bridge: {}, ...more })

const spec = (...cards: Interface[]): VmiSpec => ({
  domain: { devices: { interfaces: cards } },
  networks: cards.map(({ name, masquerade }) =>
    masquerade ? { name, pod: {} } : { name, multus: { networkName: `nad-${name}` } },
  ),
})

const where = (name: string) => ({
  tap: `tap${name}`,
  podInterface: `pod${name}`,
  mac: '02:00:00:00:00:09',
  mtu: 1500,
  addresses: ['10.9.0.2'],
})

const plugged = (name: string, more: Partial<PluggedCard> = {}): PluggedCard => ({
  name,
  id: 3,
  card: bridge(name),
  network: `nad-${name}`,
  port: 'hot1',
  joined: where(name),
  state: 'ready',
  ...more,
})

const started = (more: Partial<StartedMachine> = {}): StartedMachine => ({
  accelerator: 'tcg',
  acceleratorMessage: '',
  machineType: 'pc-q35-7.2',
  memoryBytes: 1024 ** 3,
  topology: { sockets: 1, cores: 1, threads: 1 },
  network: { address: '10.42.128.5', mac: '02:00:00:00:00:01' },
  volumes: [],
  runtimeUser: 0,
  sharedDisks: [],
  cards: ['default'],
  ...more,
})

const red = { name: 'red', mac: '02:00:00:00:00:02', podInterface: 'podred', addresses: [] }
const withRed = (more: Partial<StartedMachine> = {}) =>
  started({ cards: ['default', 'red'], secondaries: [red], ...more })
const hot = (...cards: PluggedCard[]) => ({ plugged: { next: 4, disks: [], cards } })

const said = (wanted: VmiSpec, machine: StartedMachine) => {
  const { attach, detach, takeOut, cables } = cardStep(wanted, machine)
  return [
    ...attach.map(({ card, network }) => `+${card.name} ${network}`),
    ...detach.map(({ name }) => `-${name}`),
    ...takeOut.map(({ name, slot }) => `-${name} of ${slot.index}${slot.express ? ' express' : ''}`),
    ...cables.map(({ netdev, up }) => `${netdev} ${up ? 'up' : 'down'}`),
  ]
}

test('what the spec has and QEMU has not is plugged, and the other way round', () => {
  assert.deepEqual(said(spec(pod, bridge('blue')), started()), ['+blue nad-blue'])
  assert.deepEqual(said(spec(pod, bridge('blue')), started(hot(plugged('blue')))), [])
  assert.deepEqual(said(spec(pod), started(hot(plugged('blue')))), ['-blue'])
  assert.deepEqual(said(spec(pod, bridge('blue', { state: 'absent' })), started(hot(plugged('blue')))), ['-blue'])
  assert.equal(isCardDue(spec(pod), started()), false)
  assert.equal(isCardDue(spec(pod, bridge('blue')), undefined), false)
})

test('one that is half in, or is another one now, goes out first and comes in again', () => {
  for (const one of [
    plugged('blue', { state: 'coming' }),
    plugged('blue', { network: 'other' }),
    plugged('blue', { card: bridge('blue', { model: 'e1000' }) }),
  ])
    assert.deepEqual(said(spec(pod, bridge('blue')), started(hot(one))), ['+blue nad-blue', '-blue'])
})

test('a card that the guest was started with goes too, and comes back as one that is plugged', () => {
  const gone = bridge('red', { state: 'absent' })
  assert.deepEqual(said(spec(pod, gone), withRed()), ['-red of 1 express'])
  assert.deepEqual(said(spec(pod, bridge('red', { state: 'absent', model: 'e1000' })), withRed()), ['-red of 1'])
  const emptied = { plugged: { next: 1, disks: [], emptied: [{ index: 1, express: true }] } }
  assert.deepEqual(said(spec(pod), started({ cards: ['default', 'red'], ...emptied })), [])
  assert.deepEqual(said(spec(pod, bridge('red')), started({ cards: ['default', 'red'], ...emptied })), ['+red nad-red'])
})

test('what a former Tandem started had the cards that it was in a network with', () => {
  const former = withRed({ cards: undefined })
  assert.deepEqual(said(spec(pod, bridge('red'), bridge('blue')), former), ['+blue nad-blue'])
  assert.deepEqual(said(spec(pod, bridge('red', { state: 'absent' })), former), ['-red of 1 express'])
})

test('cables are as the spec says', () => {
  const down = spec({ ...pod, state: 'down' }, bridge('red', { state: 'up' }), bridge('blue', { state: 'down' }))
  assert.deepEqual(said(down, withRed(hot(plugged('blue')))), ['net0 down', 'nic3 down'])
  const linksDown = ['default', 'blue', 'red']
  assert.deepEqual(said(down, withRed({ ...hot(plugged('blue')), linksDown })), ['net1 up'])
})

test('cards, disks and memory do not share a port', () => {
  const some = { next: 4, disks: [], cards: [plugged('blue', { port: 'hot0' })] }
  assert.equal(freePlace(spec(pod), some), 'hot1')
  assert.equal(freePlace(spec(pod), some, 'hot1'), 'hot2')
})

test('netdev_add and device_add', () => {
  assert.deepEqual(plugCardCalls(plugged('blue', { card: bridge('blue', { bootOrder: 1 }) }), where('blue')), {
    netdev: { type: 'tap', id: 'nic3', ifname: 'tapblue', script: 'no', downscript: 'no' },
    device: {
      driver: 'virtio-net-pci',
      id: 'nic3-card',
      netdev: 'nic3',
      mac: '02:00:00:00:00:09',
      bus: 'hot1',
      romfile: '',
    },
  })
})

test('where the guest goes on, each card is in its place, and an empty place keeps its port', () => {
  const card = (name: string) => ({ card: bridge(name), ...where(name) })
  const cards = [
    { ...card('default'), slot: 0 },
    { ...card('green'), slot: 2 },
    preparedPlug(plugged('blue'), where('blue')),
  ]
  const args = qemuArgs(planOf({}, { cards, emptied: [{ index: 1, express: true }] }))
  const of = (pattern: RegExp) => args.filter((arg) => pattern.test(arg))
  assert.deepEqual(
    of(/^pcie-root-port,id=port/).map((arg) => /id=(\w+)/.exec(arg)![1]),
    ['port1', 'port2', 'port3'],
  )
  assert.deepEqual(of(/^tap,/), [
    'tap,id=net0,ifname=tapdefault,script=no,downscript=no',
    'tap,id=net2,ifname=tapgreen,script=no,downscript=no',
    'tap,id=nic3,ifname=tapblue,script=no,downscript=no',
  ])
  assert.deepEqual(
    of(/^virtio-net-pci/).map((arg) => /bus=(\w+)/.exec(arg)![1]),
    ['port1', 'port3', 'hot1'],
  )
  // The port of a card must be there before it.
  const at = (pattern: RegExp) => args.findIndex((arg) => pattern.test(arg))
  assert.ok(at(/^pcie-root-port,id=hot1/) < at(/^virtio-net-pci,id=nic3-card/))
})

test('a guest that sleeps is still the same when cards came in another order, or a cable was pulled', () => {
  const hardware = (...cards: Interface[]) =>
    JSON.stringify({ domain: { cpu: {}, memory: {}, ...spec(...cards).domain }, networks: spec(...cards).networks })
  const saved = hardware(pod, { bridge: {}, name: 'blue' })
  assert.equal(isSameHardware(saved, hardware(bridge('blue', { state: 'down' }), pod)), true)
  assert.equal(isSameHardware(saved, hardware(pod)), false)
  assert.equal(isSameHardware(saved, hardware(pod, bridge('blue', { model: 'e1000' }))), false)
})

test('the status tells what the guest has and what is on its way', () => {
  const wanted = spec(pod, bridge('red'), bridge('blue'), bridge('new'))
  const machine = withRed({
    ...hot(plugged('blue'), plugged('new', { id: 4, state: 'coming' })),
    linksDown: ['red'],
  })
  const guest = { interfaces: [{ name: 'eth2', mac: '02:00:00:00:00:09', addresses: ['10.9.0.7'] }] }
  const seen = interfaceStatus(wanted, machine, guest as never) as any[]
  assert.deepEqual(
    seen.map(({ name, infoSource, linkState, ipAddress }) => [name, infoSource, linkState, ipAddress]),
    [
      ['default', 'domain', 'up', '10.42.128.5'],
      ['red', 'domain, multus-status', 'down', undefined],
      ['blue', 'domain, guest-agent, multus-status', 'up', '10.9.0.7'],
      ['new', 'multus-status', undefined, undefined],
    ],
  )
  const gone = { ...machine.plugged!, cards: [], emptied: [{ index: 1, express: true }] }
  assert.deepEqual(
    interfaceStatus(wanted, { ...machine, secondaries: [], plugged: gone }).map((one: any) => one.name),
    ['default'],
  )
})
