// What changed cards and networks of a template do to the instance that runs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { savedAnnotation } from '../kinds/kubevirt/hibernation.ts'
import { validateLiveChange } from '../kinds/kubevirt/live-changes.ts'
import { livePatch, restartReason } from './machine-live.ts'
import { withoutAbsentCards } from './machine-networks.ts'
import { instanceFor, templateAnnotation, templateMark } from './machine-plan.ts'
import { object } from './sample.fixture.ts'

interface Card {
  name: string
  [field: string]: unknown
}

const pod: Card = { name: 'default', masquerade: {} }
const bridge = (name: string, more: object = {}): Card => ({ name, bridge: {}, ...more })

function template(cards: Card[], domain: any = {}, nad = (name: string) => name) {
  return {
    domain: { memory: { guest: '1Gi' }, ...domain, devices: { ...domain.devices, interfaces: cards } },
    networks: cards.map(({ name }) =>
      name === 'default' ? { name, pod: {} } : { name, multus: { networkName: nad(name) } },
    ),
  }
}

const vm = (spec: any): StoredObject =>
  object('VirtualMachine', 'db', { spec: { runStrategy: 'Always', template: { spec } } }) as StoredObject

function running(spec: any, seen: string[] = []): StoredObject {
  const made = instanceFor(vm(spec), false) as StoredObject
  const status = { phase: 'Running', interfaces: seen.map((name) => ({ name })) }
  return { ...made, spec: structuredClone(made.spec), status }
}

/** The instance after the patch. */
function merged(instance: StoredObject, patch: any): StoredObject {
  const { annotations } = instance.metadata
  const { networks = instance.spec.networks, domain } = patch.spec
  const devices = { ...instance.spec.domain.devices, ...domain.devices }
  return {
    ...instance,
    metadata: { ...instance.metadata, annotations: { ...annotations, ...patch.metadata.annotations } },
    spec: { ...instance.spec, networks, domain: { ...instance.spec.domain, devices } },
  }
}

const names = (list: Card[]) => list.map(({ name }) => name)

test('a card on a further network comes, with its network, and needs no restart', () => {
  const instance = running(template([pod]), ['default'])
  const machine = vm(template([bridge('lab'), pod]))
  assert.equal(restartReason(machine, instance), undefined)
  const patch = livePatch(machine, instance) as any
  assert.deepEqual(names(patch.spec.domain.devices.interfaces), ['default', 'lab'])
  assert.deepEqual(names(patch.spec.networks), ['default', 'lab'])
  const after = merged(instance, patch)
  assert.deepEqual(validateLiveChange(after.spec, instance.spec, 'spec'), [])
  assert.equal(after.metadata.annotations!['kubevirt.io/vm-generation'], '1')
  assert.equal(livePatch(machine, after), undefined)
  assert.equal(restartReason(machine, after), undefined)
})

test('an absent card is absent in the instance, goes from it with its last trace, and then from the template', () => {
  const machine = vm(template([pod, bridge('lab', { state: 'absent' })]))
  const before = running(template([pod, bridge('lab')]), ['default', 'lab'])
  assert.equal(restartReason(machine, before), undefined)
  const leaving = merged(before, livePatch(machine, before))
  assert.equal(leaving.spec.domain.devices.interfaces[1].state, 'absent')
  assert.deepEqual(validateLiveChange(leaving.spec, before.spec, 'spec'), [])
  assert.equal(livePatch(machine, leaving), undefined)
  assert.equal(withoutAbsentCards(machine, leaving), undefined)
  const unplugged = { ...leaving, status: { ...leaving.status, interfaces: [{ name: 'default' }] } }
  const gone = merged(unplugged, livePatch(machine, unplugged))
  assert.deepEqual([names(gone.spec.domain.devices.interfaces), names(gone.spec.networks)], [['default'], ['default']])
  assert.deepEqual(validateLiveChange(gone.spec, leaving.spec, 'spec'), [])
  assert.equal(restartReason(machine, gone), undefined)
  const { spec } = withoutAbsentCards(machine, gone) as any
  assert.deepEqual(names(spec.template.spec.domain.devices.interfaces), ['default'])
  assert.deepEqual(names(spec.template.spec.networks), ['default'])
  const cleared = vm(template([pod]))
  assert.deepEqual([restartReason(cleared, gone), livePatch(cleared, gone)], [undefined, undefined])
})

test('one that never came goes in the same steps', () => {
  const machine = vm(template([pod, bridge('lab', { state: 'absent' })]))
  const before = running(template([pod, bridge('lab')]), ['default'])
  const leaving = merged(before, livePatch(machine, before))
  assert.deepEqual(validateLiveChange(leaving.spec, before.spec, 'spec'), [])
  const gone = merged(leaving, livePatch(machine, leaving))
  assert.deepEqual(validateLiveChange(gone.spec, leaving.spec, 'spec'), [])
  assert.deepEqual(names(gone.spec.networks), ['default'])
})

test('wanted again while it is on its way out, a card comes back when it is gone', () => {
  const machine = vm(template([pod, bridge('lab')]))
  const leaving = running(template([pod, bridge('lab', { state: 'absent' })]), ['default', 'lab'])
  assert.equal(livePatch(machine, leaving), undefined)
  const gone = running(template([pod]), ['default'])
  assert.deepEqual(names((livePatch(machine, gone) as any).spec.networks), ['default', 'lab'])
})

test('absent cards go from the template of a machine that has no instance, and not from that of a sleeping one', () => {
  const machine = vm(template([pod, bridge('lab', { state: 'absent' })]))
  assert.ok(withoutAbsentCards(machine, undefined))
  machine.metadata.annotations = { [savedAnnotation]: 'true' }
  assert.equal(withoutAbsentCards(machine, undefined), undefined)
  assert.equal(withoutAbsentCards(vm(template([pod])), undefined), undefined)
})

test('the cable of every card is pulled, and put back, at once', () => {
  const cards = (state?: string) => template([{ ...pod, ...(state && { state }) }])
  for (const [from, to] of [
    ['up', 'down'],
    ['down', 'up'],
    [undefined, 'down'],
    ['down', undefined],
  ]) {
    const instance = running(cards(from), ['default'])
    const machine = vm(cards(to))
    assert.equal(restartReason(machine, instance), undefined)
    const { interfaces } = (livePatch(machine, instance) as any).spec.domain.devices
    assert.equal(interfaces[0].state, to)
  }
})

test('everything else of the network waits for a restart', () => {
  const text = 'a non-live-updatable field was changed in the template spec'
  const lab = template([pod, bridge('lab')])
  const waits = (wanted: any, had: any, seen = ['default', 'lab']) => {
    const machine = vm(wanted)
    const instance = running(had, seen)
    assert.equal(restartReason(machine, instance), text)
    return livePatch(machine, instance)
  }
  assert.equal(waits(template([pod]), lab), undefined)
  assert.equal(waits(template([pod, bridge('lab', { model: 'e1000' })]), lab), undefined)
  assert.equal(
    waits(
      template([pod, bridge('lab')], {}, () => 'other'),
      lab,
    ),
    undefined,
  )
  assert.equal(waits(template([pod, bridge('lab')]), template([bridge('lab')]), ['lab']), undefined)
  const noPlugs = { devices: { disableHotplug: true } }
  assert.equal(waits(template([pod, bridge('lab')], noPlugs), template([pod], noPlugs), ['default']), undefined)
  const filledIn = { domain: { memory: { guest: '1Gi' }, devices: {} } }
  // The one that was filled in is not that of the template any more; the new one comes all the same.
  const bare = running(filledIn, ['default'])
  bare.spec.domain.devices.interfaces = [{ name: 'default', bridge: {} }]
  bare.spec.networks = [{ name: 'default', pod: {} }]
  assert.equal(restartReason(vm(filledIn), bare), undefined)
  assert.equal(restartReason(vm(template([bridge('lab')])), bare), text)
  assert.deepEqual(names((livePatch(vm(template([bridge('lab')])), bare) as any).spec.networks), ['default', 'lab'])
})

test('an instance that a former Tandem made has its networks in the mark of its template', () => {
  const spec = template([pod, bridge('lab')])
  const instance = running(spec, ['default', 'lab'])
  const annotations = { [templateAnnotation]: templateMark(vm(spec), true) }
  const former = { ...instance, metadata: { ...instance.metadata, annotations } }
  assert.equal(restartReason(vm(spec), former), undefined)
  const more = vm(template([pod, bridge('lab'), bridge('more')]))
  assert.match(restartReason(more, former)!, /non-live-updatable/)
  assert.equal(livePatch(more, former), undefined)
})

test('an instance’s networks change in no other way', () => {
  const change = (wanted: any, had: any) => validateLiveChange(wanted, had, 'spec').length
  const lab = template([pod, bridge('lab')])
  assert.equal(change(template([pod]), lab), 1)
  assert.equal(change(template([pod, bridge('lab', { macAddress: '02:00:00:00:00:01' })]), lab), 1)
  assert.equal(
    change(
      template([pod, bridge('lab')], {}, () => 'other'),
      lab,
    ),
    1,
  )
  assert.equal(change(template([pod, { name: 'lab', masquerade: {} }]), template([pod])), 1)
  assert.equal(change(lab, template([pod, bridge('lab', { state: 'absent' })])), 1)
})
