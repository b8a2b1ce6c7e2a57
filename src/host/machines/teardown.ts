// `tandem down --all`: every QEMU of this instance ends, its guests asked first; nothing is left outside the state
// directory. Works without a running Tandem.

import { join } from 'node:path'
import type { StatePaths } from '../state.ts'
import { unconfine } from './cgroup.ts'
import { machineFiles } from './plan.ts'
import { isAlive, killAndWait, type ProcessIdentity, processesBelow } from './process.ts'
import { openQmp } from './qmp.ts'
import { withSocketPath } from './socket-path.ts'

/** How long the guests have, all together, to turn themselves off. */
const graceMs = 10_000

export interface TeardownOptions {
  paths: Pick<StatePaths, 'machines'>
  instance: string
  graceMs?: number
}

/** @returns how many machines ran. */
export async function removeAllMachines({ paths, instance, ...options }: TeardownOptions): Promise<number> {
  const running = processesBelow(paths.machines)
  const deadline = Date.now() + (options.graceMs ?? graceMs)
  await Promise.all(
    [...running].map(async ([uid, processes]) => {
      await turnOff(join(paths.machines, uid), processes, deadline).catch(() => {})
      for (const one of processes) await killAndWait(one)
      await unconfine(instance, uid)
    }),
  )
  return running.size
}

/** Presses the power button and waits until the guest is off or time is up. @throws Error when QEMU does not answer. */
async function turnOff(directory: string, processes: ProcessIdentity[], deadline: number): Promise<void> {
  const path = join(directory, machineFiles.qmp)
  const qmp = await withSocketPath(path, (short) => openQmp(short, { onEvent: () => {}, onClose: () => {} }, 2_000))
  const pause = () => new Promise((resolve) => setTimeout(resolve, 100))
  try {
    for (let presses = 0; Date.now() < deadline && processes.some(isAlive); await pause()) {
      const { status } = await qmp.execute<{ status: string }>('query-status')
      if (status === 'paused') await qmp.execute('cont')
      else if (status !== 'running') return
      if (presses++ % 20 === 0) await qmp.execute('system_powerdown')
    }
  } finally {
    qmp.close()
  }
}
