// How far a machine may grow, and with what words QEMU is told.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { qemuArgs } from './args.ts'
import { planOf } from './plan.fixture.ts'
import type { StartedMachine } from './record.ts'
import { isResizeDue, resizeConditions } from './resize.ts'
import { memoryValues, processorsToAdd, roomOf, smpValues } from './resize-plan.ts'

const gibibyte = 1024 ** 3
const domain = (sockets: number, guest: string, more = {}) => ({
  cpu: { sockets, cores: 2, threads: 1, maxSockets: 4 },
  memory: { guest, maxGuest: '4Gi' },
  ...more,
})
const started = (more: Partial<StartedMachine> = {}) =>
  ({
    memoryBytes: gibibyte,
    topology: { sockets: 1, cores: 2, threads: 1 },
    room: { maxSockets: 4, maxMemoryBytes: 4 * gibibyte },
    ...more,
  }) as StartedMachine

test('room is what the spec says, within what QEMU takes, and none without ACPI', () => {
  assert.deepEqual(roomOf(domain(1, '1Gi')), { maxSockets: 4, maxMemoryBytes: 4 * gibibyte })
  assert.deepEqual(roomOf(domain(1, '1Gi', { features: { acpi: { enabled: false } } })), {
    maxSockets: 1,
    maxMemoryBytes: gibibyte,
  })
  assert.equal(roomOf({ cpu: { sockets: 2, cores: 64, maxSockets: 99 }, memory: { guest: '1Gi' } }).maxSockets, 3)
})

test('-smp and -m say what there is and what there may be', () => {
  const topology = { sockets: 1, cores: 2, threads: 1 }
  assert.deepEqual(smpValues(topology, 4), { cpus: 2, maxcpus: 8, sockets: 4, cores: 2, threads: 1 })
  assert.deepEqual(smpValues(topology, 1), { cpus: 2, sockets: 1, cores: 2, threads: 1 })
  assert.deepEqual(memoryValues(gibibyte, 4 * gibibyte), { size: '1048576k', maxmem: '4194304k' })
  assert.equal(memoryValues(gibibyte).maxmem, undefined)
})

test('processors are added in order, socket by socket', () => {
  const slot = (socket: number, core: number, path?: string) => ({
    type: 'max-x86_64-cpu',
    props: { 'socket-id': socket, 'core-id': core, 'thread-id': 0 },
    ...(path && { 'qom-path': path }),
  })
  const slots = [slot(2, 0), slot(1, 1), slot(1, 0), slot(0, 0, '/machine/unattached/device[0]')]
  assert.deepEqual(processorsToAdd(slots, 2), [
    { driver: 'max-x86_64-cpu', id: 'cpu-1-0-0', 'socket-id': 1, 'core-id': 0, 'thread-id': 0 },
    { driver: 'max-x86_64-cpu', id: 'cpu-1-1-0', 'socket-id': 1, 'core-id': 1, 'thread-id': 0 },
  ])
})

test('due is what there is room for; processors only come', () => {
  const due = (sockets: number, guest: string, more = {}) =>
    isResizeDue({ domain: domain(sockets, guest) }, started(more))
  assert.equal(due(1, '1Gi'), false)
  assert.equal(due(2, '1Gi'), true)
  assert.equal(due(5, '1Gi'), false)
  assert.equal(due(1, '2Gi'), true)
  assert.equal(due(1, '8Gi'), false)
  assert.equal(due(1, '512Mi'), false)
  assert.equal(due(1, '2Gi', { growth: { sockets: 1, processors: [], memory: { requested: gibibyte } } }), false)
  assert.equal(due(1, '2Gi', { room: undefined }), false)
})

test('conditions while it lasts, and when QEMU refused', () => {
  const conditions = (spec: object, problems: any[] = []) =>
    resizeConditions({ domain: spec }, started(), problems).map(({ type, status }) => `${type}=${status}`)
  assert.deepEqual(conditions(domain(2, '2Gi')), ['HotVCPUChange=True', 'HotMemoryChange=True'])
  assert.deepEqual(conditions(domain(1, '2Gi'), [{ of: 'memory', message: 'no' }]), ['HotMemoryChange=False'])
  assert.deepEqual(conditions(domain(1, '1Gi')), [])
})

test('a guest that goes on in another QEMU finds all that came', () => {
  const memory = { port: 'hot1', room: 3 * gibibyte, requested: gibibyte, size: gibibyte }
  const processors = [{ driver: 'max-x86_64-cpu', id: 'cpu-1-0-0', 'socket-id': 1, 'core-id': 0, 'thread-id': 0 }]
  const disk = { name: 'fast', disk: { bus: 'virtio' } }
  const prepared = {
    disk,
    format: 'raw',
    file: '/proc/self/fd/3',
    readOnly: false,
    direct: true,
    ephemeral: false,
  } as const
  const plug = { name: 'fast', id: 7, port: 'hot2', disk } as any
  const args = qemuArgs(
    planOf({}, { growth: { sockets: 1, processors, memory }, plugged: [{ plug, prepared }], scsiPort: 'hot0' }),
  )
  for (const arg of [
    'max-x86_64-cpu,id=cpu-1-0-0,socket-id=1,core-id=0,thread-id=0',
    'memory-backend-ram,id=more-memory-ram,size=3221225472,reserve=off',
    'virtio-mem-pci,id=more-memory,memdev=more-memory-ram,bus=hot1,requested-size=1073741824,block-size=2097152',
    'virtio-scsi-pci,id=scsi,bus=hot0',
    'virtio-blk-pci,id=hot7-device,drive=hot7,bus=hot2,werror=stop,rerror=stop,write-cache=on',
  ])
    assert.ok(args.includes(arg), arg)
})
