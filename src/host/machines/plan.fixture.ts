// Machine plans for tests.

import type { MachinePlan, PreparedDisk } from './plan.ts'
import type { Disk, VmiSpec } from './vmi.ts'

export const planOf = (spec: Partial<VmiSpec> = {}, more: Partial<MachinePlan> = {}): MachinePlan => ({
  title: 'default/web',
  uuid: '0f344a87-7dc3-5d4e-992f-6a7445faca93',
  spec: { domain: { memory: { guest: '512Mi' } }, ...spec },
  accelerator: 'tcg',
  topology: { sockets: 1, cores: 2, threads: 1 },
  memoryBytes: 512 * 1024 * 1024,
  disks: [],
  cards: [],
  ...more,
})

export const diskOf = (disk: Disk, more: Partial<PreparedDisk> = {}): PreparedDisk => ({
  disk,
  format: 'qcow2',
  file: 'disk-0.qcow2',
  readOnly: false,
  direct: false,
  ephemeral: true,
  ...more,
})
