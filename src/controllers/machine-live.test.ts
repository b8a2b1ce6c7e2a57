// What a changed template does to the instance that runs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { claimSizesOf } from '../kinds/kubevirt/claim-sizes.ts'
import { grownClaims, livePatch, restartReason } from './machine-live.ts'
import { instanceFor } from './machine-plan.ts'
import { object } from './sample.fixture.ts'

const hot = (name: string) => ({ name, persistentVolumeClaim: { claimName: name, hotpluggable: true } })
const disk = (name: string) => ({ name, disk: { bus: 'scsi' } })

function template(names: string[] = [], domain: any = {}) {
  return {
    domain: {
      cpu: { sockets: 1 },
      memory: { guest: '1Gi' },
      ...domain,
      devices: { disks: [disk('root'), ...names.map(disk)] },
    },
    volumes: [{ name: 'root', containerDisk: { image: 'i' } }, ...names.map(hot)],
  }
}

const vm = (spec: any): StoredObject =>
  object('VirtualMachine', 'db', { spec: { runStrategy: 'Always', template: { spec } } }) as StoredObject

/** The instance of the machine, with what the server fills in. */
function running(spec: any, status: any = {}): StoredObject {
  const made = instanceFor(vm(spec), false) as StoredObject
  const { cpu, memory, ...domain } = made.spec.domain
  return {
    ...made,
    spec: {
      ...made.spec,
      domain: {
        ...domain,
        cpu: { cores: 1, threads: 1, maxSockets: 4, ...cpu },
        memory: { maxGuest: '4Gi', ...memory },
        resources: { requests: { memory: memory.guest } },
      },
    },
    status: { phase: 'Running', memory: { guestAtBoot: '1Gi' }, ...status },
  }
}

const patched = (wanted: any, had: any, status?: any) => livePatch(vm(wanted), running(had, status)) as any
const reason = (wanted: any, had: any) => restartReason(vm(wanted), running(had))

test('hotpluggable volumes come and go with their disks', () => {
  assert.equal(livePatch(vm(template(['a'])), running(template(['a']))), undefined)
  const { spec } = patched(template(['b']), template(['a']))
  assert.deepEqual(
    [spec.volumes, spec.domain.devices.disks].map((items) => items.map(({ name }: any) => name)),
    [
      ['root', 'b'],
      ['root', 'b'],
    ],
  )
  assert.equal(reason(template(['b']), template(['a'])), undefined)
})

test('one that is on its way out comes back when it is gone; one of the instance alone stays', () => {
  const leaving = { volumeStatus: [{ name: 'a', phase: 'Detaching' }] }
  assert.equal(patched(template(['a']), template(), leaving), undefined)
  const instance = running(template(['a']))
  const own = {
    ...instance.metadata,
    annotations: { ...instance.metadata.annotations, 'tandem.dev/ephemeral-volumes': 'a' },
  }
  assert.equal(livePatch(vm(template()), { ...instance, metadata: own }), undefined)
})

test('sockets: more of them at once, up to the most', () => {
  const cpu = (sockets: number) => template([], { cpu: { sockets } })
  assert.deepEqual(patched(cpu(3), cpu(1)).spec, { domain: { cpu: { sockets: 3 } } })
  assert.equal(reason(cpu(3), cpu(1)), undefined)
  assert.match(reason(cpu(5), cpu(1))!, /to a value higher than what's available/)
  assert.match(reason(cpu(1), cpu(2))!, /Reduction of CPU socket count requires a restart/)
  assert.equal(patched(cpu(5), cpu(1)), undefined)
})

test('memory: more and less of it between what it started with and the most', () => {
  const memory = (guest: string) => template([], { memory: { guest } })
  assert.deepEqual(patched(memory('2Gi'), memory('1Gi')).spec.domain, {
    memory: { guest: '2Gi' },
    resources: { requests: { memory: '2Gi' } },
  })
  assert.match(reason(memory('5Gi'), memory('1Gi'))!, /to a value higher than what's available/)
  assert.match(reason(memory('512Mi'), memory('1Gi'))!, /to a value lower than what the VM started with/)
  assert.match(
    reason(memory('1025Mi'), memory('1Gi'))!,
    /memory hotplug not supported, Guest memory must be 2Mi aligned/,
  )
})

test('everything else waits for a restart', () => {
  const cpu = (cores: number) => template([], { cpu: { sockets: 1, cores } })
  assert.equal(reason(cpu(2), cpu(1)), 'a non-live-updatable field was changed in the template spec')
  assert.equal(patched({ ...template([], { cpu: { sockets: 2, cores: 2 } }) }, cpu(1)), undefined)
})

test('the driver hears of claims that are larger than the guest knows, once', () => {
  const info = { claimName: 'a', capacity: { storage: '67108864' } }
  const status = { volumeStatus: [{ name: 'a', persistentVolumeClaimInfo: info }, { name: 'root' }] }
  const instance = running(template(['a']), status)
  const claim = (storage: string) => () => object('PersistentVolumeClaim', 'a', { status: { capacity: { storage } } })
  assert.equal(grownClaims(instance, claim('64Mi') as never), undefined)
  assert.equal(
    grownClaims(instance, () => undefined),
    undefined,
  )
  assert.equal(grownClaims(instance, claim('128Mi') as never), 'a=134217728')
  const told = { ...instance.metadata, annotations: { 'tandem.dev/claim-sizes': 'a=134217728' } }
  assert.equal(grownClaims({ ...instance, metadata: told }, claim('128Mi') as never), undefined)
  assert.deepEqual([...claimSizesOf(told.annotations)], [['a', 134217728]])
  assert.deepEqual([...claimSizesOf({ 'tandem.dev/claim-sizes': 'a=x,=3,b=-1,c=4' })], [['c', 4]])
})
