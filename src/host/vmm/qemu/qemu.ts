// QEMU as the VMM of a micro-VM: told through its machine protocol (QMP), one short connection for each thing.

import { join } from 'node:path'
import type { Owner } from '../../machines/disk-files.ts'
import { openQmp, type Qmp, QmpError } from '../../machines/qmp.ts'
import { loadRam, saveRam } from '../../machines/ram-stream.ts'
import { withSocketPath } from '../../machines/socket-path.ts'
import { VmmAbsent, type VmmControl, type VmmDriver, VmmRefused, type VmmState } from '../driver.ts'
import { consoleName, monitorSocket, qemuArgv } from './argv.ts'

const title = 'QEMU'
const ramFile = 'ram'
const consoleBytes = 65_536

export const qemu: VmmDriver = {
  name: 'qemu',
  title,
  programs: ['qemu-system-x86_64'],
  remedy: 'apt-get install qemu-system-x86',
  can: { emulate: true, saveFolder: false },
  argv: qemuArgv,
  control,
}

function control(directory: string, owner?: Owner): VmmControl {
  /** QEMU speaks to one at a time: who comes second waits for its greeting. */
  async function told<T>(what: string, work: (qmp: Qmp) => Promise<T>): Promise<T> {
    let qmp: Qmp
    try {
      const handlers = { onEvent() {}, onClose() {} }
      qmp = await withSocketPath(join(directory, monitorSocket), (path) => openQmp(path, handlers))
    } catch (error) {
      throw new VmmAbsent(title, what, { cause: error })
    }
    try {
      return await work(qmp)
    } catch (error) {
      if (error instanceof QmpError) throw new VmmRefused(title, what, error.message)
      throw error
    } finally {
      qmp.close()
    }
  }
  const simply = (command: string) => async () => {
    await told(command, (qmp) => qmp.execute(command))
  }
  return {
    async state(): Promise<VmmState> {
      try {
        const { running } = await told('query-status', (qmp) => qmp.execute('query-status'))
        return running ? 'running' : 'paused'
      } catch (error) {
        if (error instanceof VmmAbsent) return 'absent'
        throw error
      }
    },
    console: () =>
      told('reading the console', (qmp) =>
        qmp.execute<string>('ringbuf-read', { device: consoleName, size: consoleBytes }),
      ),
    pause: simply('stop'),
    resume: simply('cont'),
    save: (folder) => told('saving', (qmp) => saveRam(qmp, directory, join(directory, folder, ramFile), owner)),
    load: (folder) => told('loading', (qmp) => loadRam(qmp, directory, join(directory, folder, ramFile))),
    pressPower: simply('system_powerdown'),
    async quit() {
      await told('quit', (qmp) => qmp.execute('quit').catch((error) => ifEnded(error)))
    },
  }
}

/** It may be gone before its answer is. */
function ifEnded(error: unknown): void {
  if (error instanceof QmpError) throw error
}
