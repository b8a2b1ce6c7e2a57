import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StoredObject } from '../api/meta.ts'
import { dumpStep } from './memory-dump.ts'

const volume = { name: 'dump', memoryDump: { claimName: 'dump' } }

const machine = (request: object, volumes: object[] = []): StoredObject =>
  ({
    metadata: { name: 'db', namespace: 'a' },
    spec: { template: { spec: { volumes } } },
    status: { memoryDumpRequest: { claimName: 'dump', ...request } },
  }) as any

const instance = (volumes: object[], volumeStatus: object[] = [], phase = 'Running'): StoredObject =>
  ({ metadata: { name: 'db' }, spec: { volumes }, status: { phase, volumeStatus } }) as any

const memoryDumpVolume = { startTimestamp: 's', endTimestamp: 'e', targetFileName: 'f' }

test('the claim becomes a volume of both, and then the dump is under way', () => {
  const asked = machine({ phase: 'Associating' })
  assert.deepEqual(dumpStep(asked, undefined), { request: asked.status!.memoryDumpRequest })
  assert.deepEqual(dumpStep(asked, instance([])), {
    machineHas: true,
    instanceHas: true,
    request: { claimName: 'dump', phase: 'Associating' },
  })
  const both = dumpStep(machine({ phase: 'Associating' }, [volume]), instance([volume]))
  assert.equal(both.request?.phase, 'InProgress')
})

test('what the host tells is in the request', () => {
  const running = machine({ phase: 'InProgress' }, [volume])
  const told = (phase: string) => [{ name: 'dump', phase, message: 'no room', memoryDumpVolume }]
  assert.deepEqual(dumpStep(running, instance([volume], told('MemoryDumpCompleted'))).request, {
    claimName: 'dump',
    phase: 'Unmounting',
    fileName: 'f',
    startTimestamp: 's',
    endTimestamp: 'e',
  })
  const failed = dumpStep(running, instance([volume], told('MemoryDumpFailed'))).request
  assert.equal(failed?.phase, 'Failed')
  assert.equal(failed?.message, 'no room')
  assert.equal(dumpStep(running, undefined).request?.phase, 'Failed')
  assert.equal(dumpStep(running, instance([volume])).request?.phase, 'InProgress')
})

test('a dump is complete once its volume has left the instance', () => {
  const done = machine({ phase: 'Unmounting', fileName: 'f' }, [volume])
  assert.equal(dumpStep(done, instance([volume])).instanceHas, false)
  assert.equal(dumpStep(done, instance([], [{ name: 'dump' }])).request?.phase, 'Unmounting')
  const complete = dumpStep(done, instance([]))
  assert.equal(complete.request?.phase, 'Completed')
  assert.equal(complete.annotation, 'f')
})

test('a claim that is let go leaves everything, and then nothing speaks of it', () => {
  const leaving = machine({ phase: 'Dissociating', remove: true }, [volume])
  assert.deepEqual(dumpStep(leaving, instance([])), {
    machineHas: false,
    instanceHas: false,
    request: { claimName: 'dump', phase: 'Dissociating', remove: true },
  })
  assert.equal(dumpStep(machine({ phase: 'Dissociating', remove: true }), instance([])).request, null)
})
