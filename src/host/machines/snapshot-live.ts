// The disks of a machine that runs, all of one moment: QEMU copies each block before the guest changes it (a transaction
// of backup jobs), so the guest stands still for nothing but the flush that its agent makes.

import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'
import { freeze, isFrozen, thaw } from './freeze.ts'
import { type Machine, type Observer, pausedBy } from './machine.ts'
import type { Qmp } from './qmp.ts'
import { copyDisk } from './snapshot-files.ts'

export interface LiveDisk {
  volume: string
  /** Bytes of the volume's file. */
  size: number
  /** Where the copy is to be. */
  to: string
}

const mark = 'snapshot-'
const pollMs = 50
const frozenMs = 30_000

/** QEMU's name for the disk of a volume. @throws Error when the machine has no such disk */
function nodeOf(machine: Machine, volume: string): string {
  const index = machine.record.started?.volumes.findIndex((one) => one.name === volume) ?? -1
  if (index < 0) throw new Error(`volume ${volume} is not a disk of the running machine: restart it, or stop it first`)
  return `disk${index}`
}

/** @throws Error with what the guest or QEMU said; nothing is left behind then */
export async function copyLive(machine: Machine, observer: Observer, disks: LiveDisk[]): Promise<void> {
  const { qmp, directory } = machine
  if (!qmp) throw new Error('QEMU does not answer')
  const nodes = disks.map(({ volume }) => nodeOf(machine, volume))
  await clear(qmp, directory)
  const files: number[] = []
  try {
    for (const [index, { size }] of disks.entries()) {
      files.push(makeTarget(machine, index, size))
      await qmp.execute('blockdev-add', targetNode(index))
    }
    const actions = nodes.map((node, index) => ({
      type: 'blockdev-backup',
      data: {
        'job-id': `${mark}${index}`,
        device: node,
        target: `${mark}target-${index}`,
        sync: 'full',
        'auto-dismiss': false,
      },
    }))
    await held(machine, observer, () =>
      qmp.execute('transaction', { actions, properties: { 'completion-mode': 'grouped' } }),
    )
    await finished(qmp)
    for (const index of disks.keys()) await qmp.execute('blockdev-del', { 'node-name': `${mark}target-${index}` })
    for (const [index, { to }] of disks.entries()) {
      const dense = `${to}.dense`
      take(join(directory, `${mark}${index}.raw`), dense, files[index]!)
      // A backup job allocates what is zero; a copy leaves holes there.
      await copyDisk(dense, to, 'never')
      rmSync(dense)
    }
  } finally {
    for (const file of files) closeSync(file)
    if (machine.qmp) await clear(machine.qmp, directory).catch(() => {})
  }
}

/** With the file systems of the guest held still, where an agent can do that. */
async function held(machine: Machine, observer: Observer, work: () => Promise<unknown>): Promise<void> {
  if (!machine.agentOpen || pausedBy(machine) || isFrozen(machine)) {
    await work()
    return
  }
  let isHeld = true
  await freeze(machine, observer, frozenMs, Date.now()).catch((error: Error) => {
    if (!/no file system that can be frozen|not been found|disabled/.test(error.message)) throw error
    isHeld = false
  })
  try {
    await work()
  } finally {
    if (isHeld) await thaw(machine, observer)
  }
}

const targetNode = (index: number) => ({
  driver: 'raw',
  'node-name': `${mark}target-${index}`,
  discard: 'unmap',
  'detect-zeroes': 'unmap',
  file: { driver: 'file', filename: `${mark}${index}.raw`, discard: 'unmap' },
})

/** A file in QEMU's directory, which is where it may open files by name. */
function makeTarget({ directory, record }: Machine, index: number, size: number): number {
  const path = join(directory, `${mark}${index}.raw`)
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  ftruncateSync(file, Math.ceil(size / 512) * 512)
  if (record.user !== undefined) chownSync(path, record.user, record.user)
  return file
}

/** Out of the directory that QEMU may write to. @throws Error when QEMU has put something else in its place */
function take(path: string, to: string, file: number): void {
  renameSync(path, to)
  const [made, found] = [fstatSync(file), lstatSync(to)]
  if (made.ino !== found.ino || made.dev !== found.dev || !found.isFile() || found.nlink !== 1) {
    rmSync(to, { force: true })
    throw new Error('QEMU replaced the copy of a disk')
  }
  chownSync(to, process.getuid?.() ?? 0, process.getgid?.() ?? 0)
  chmodSync(to, 0o600)
}

interface Job {
  id: string
  status: string
  error?: string
}

const ownJobs = async (qmp: Qmp): Promise<Job[]> =>
  (await qmp.execute<Job[]>('query-jobs')).filter(({ id }) => id.startsWith(mark))

/** Until every job has come to its end, and is forgotten. @throws Error of the first that failed */
async function finished(qmp: Qmp): Promise<void> {
  for (;;) {
    const jobs = await ownJobs(qmp)
    if (jobs.every(({ status }) => status === 'concluded')) {
      for (const { id } of jobs) await qmp.execute('job-dismiss', { id })
      const failed = jobs.find(({ error }) => error)
      if (failed) throw new Error(`QEMU: ${failed.error}`)
      return
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

/** What a former try left, perhaps of a Tandem that ended in the middle. */
async function clear(qmp: Qmp, directory: string): Promise<void> {
  for (const { id, status } of await ownJobs(qmp))
    if (status !== 'concluded') await qmp.execute('block-job-cancel', { device: id, force: true }).catch(() => {})
  await finished(qmp).catch(() => {})
  const nodes = await qmp.execute<{ 'node-name': string }[]>('query-named-block-nodes', { flat: true })
  for (const { 'node-name': node } of nodes)
    if (node?.startsWith(`${mark}target-`)) await qmp.execute('blockdev-del', { 'node-name': node })
  for (const name of readdirSync(directory))
    if (/^snapshot-\d+\.raw$/.test(name)) rmSync(join(directory, name), { force: true })
}
