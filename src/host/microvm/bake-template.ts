// Makes a template: a guest that boots with nothing but memory, is stopped where it waits for its Pod, and whose memory and
// devices are kept. Its QEMU is nobody, has no network, stands behind all others where processors are short, and ends with this process.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, constants, existsSync, openSync } from 'node:fs'
import { chmod, chown, copyFile, mkdir, mkdtemp, open, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { run } from '../exec.ts'
import { openQmp, type Qmp } from '../machines/qmp.ts'
import { saveRam } from '../machines/ram-stream.ts'
import { withSocketPath } from '../machines/socket-path.ts'
import { consoleName, monitorSocket } from '../vmm/qemu/argv.ts'
import { templateArgv, waitingWords, withoutMemory } from './machine-argv.ts'
import { partsOf } from './parts-folder.ts'
import { bakingUser } from './places.ts'
import {
  goOnFile,
  goOnScript,
  keyOf,
  noteFile,
  type TemplateInputs,
  type TemplateNote,
  templateFolder,
  templatesFolder,
} from './templates.ts'

/** A guest that stands behind all others may take long. */
const patienceMs = 1_200_000
const lookAgainMs = 100
const freesMs = 5_000
export const unfinished = '.new-'

export interface Oven {
  home: string
  /** Folder with kernel and initial file system. */
  parts: string
  signal: AbortSignal
}

/** @throws Error with what went wrong; nothing of it stays */
export async function bakeTemplate({ home, parts, signal }: Oven, inputs: TemplateInputs): Promise<void> {
  const { memoryBytes } = inputs.hardware
  await mkdir(templatesFolder(home), { recursive: true, mode: 0o755 })
  const scratch = await mkdtemp(join(templatesFolder(home), unfinished))
  await chmod(scratch, 0o711)
  try {
    const [memory, devices] = [join(scratch, 'memory'), join(scratch, 'devices')]
    const { kernel, initrd } = partsOf(parts)
    const running = await emptyMemory(join('/dev/shm', `tandem-template-${process.pid}`), memoryBytes)
    try {
      const opened = [kernel, initrd].map((path) => openSync(path, 'r'))
      const own = join(scratch, 'vm')
      await mkdir(own, { mode: 0o700 })
      await chown(own, bakingUser, bakingUser)
      const qemu = start(templateArgv(inputs.hardware), [...opened, running.fd], own)
      for (const file of opened) closeSync(file)
      await saved(qemu, own, devices, AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]))
      // Pages of zeros become holes.
      await run(['cp', '--sparse=always', `/proc/${process.pid}/fd/${running.fd}`, memory], { timeoutMs: patienceMs })
    } finally {
      await running.close()
    }
    await rm(join(scratch, 'vm'), { recursive: true })
    await copyFile(goOnScript, join(scratch, goOnFile))
    const sizes = { memory: (await stat(memory)).size, devices: (await stat(devices)).size }
    const note: TemplateNote = sizes
    await writeFile(join(scratch, noteFile), JSON.stringify(note))
    for (const name of ['memory', 'devices', goOnFile, noteFile]) await kept(join(scratch, name))
    await chmod(scratch, 0o755)
    const target = templateFolder(home, keyOf(inputs))
    await rm(target, { recursive: true, force: true })
    await rename(scratch, target)
  } catch (error) {
    await rm(scratch, { recursive: true, force: true })
    throw error
  }
}

/** A file without a name: gone with whoever has it open. */
async function emptyMemory(path: string, size: number) {
  await rm(path, { force: true })
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  await rm(path)
  const at = `/proc/${process.pid}/fd/${file.fd}`
  await truncate(at, size)
  await chown(at, bakingUser, bakingUser)
  return file
}

async function kept(path: string): Promise<void> {
  await chmod(path, 0o644)
  const file = await open(path, 'r')
  await file.sync().finally(() => file.close())
}

/** It reaches its folder by being in it, wherever that is. */
function start(argv: string[], files: number[], cwd: string): ChildProcess {
  const nobody = [
    ...['--pdeathsig', 'KILL', '--reuid', `${bakingUser}`, '--regid', `${bakingUser}`, '--clear-groups'],
    ...['--no-new-privs', '--bounding-set', '-all', '--inh-caps', '-all'],
  ]
  // Not the idle class: on a machine that is never idle the template, which would spare it work, would never be made.
  const words = ['--net', 'nice', '-n', '5', 'setpriv', ...nobody, ...argv]
  return spawn('unshare', words, { stdio: ['ignore', 'ignore', 'pipe', ...files], cwd })
}

/** From its start to a state that is written. QEMU is gone afterwards, whatever happens. */
async function saved(qemu: ChildProcess, directory: string, devices: string, signal: AbortSignal): Promise<void> {
  const stop = () => qemu.kill('SIGKILL')
  signal.addEventListener('abort', stop)
  let problem = ''
  qemu.stderr!.on('data', (chunk) => {
    problem = `${problem}${chunk}`.slice(-500)
  })
  let over = false
  const ended = new Promise<void>((resolve) => {
    qemu.once('error', resolve).once('close', () => resolve())
  }).then(() => {
    over = true
  })
  let qmp: Qmp | undefined
  try {
    signal.throwIfAborted()
    while (!existsSync(join(directory, monitorSocket))) {
      if (over) throw new Error(`QEMU ended at its start: ${problem.trim()}`)
      await sleep(lookAgainMs)
    }
    const handlers = { onEvent() {}, onClose() {} }
    qmp = await withSocketPath(join(directory, monitorSocket), (path) => openQmp(path, handlers, patienceMs))
    const console = { device: consoleName, size: 4096 }
    for (let said = ''; !said.includes(waitingWords); said += await qmp.execute('ringbuf-read', console))
      await sleep(lookAgainMs)
    // Memory that it has freed by then is told of some seconds later, and becomes a hole.
    await sleep(freesMs)
    await qmp.execute('stop')
    await qmp.execute('migrate-set-capabilities', withoutMemory)
    await saveRam(qmp, directory, devices, { uid: bakingUser, gid: bakingUser })
  } catch (error) {
    throw signal.aborted ? new Error('the guest did not come to the point where it waits for its Pod') : error
  } finally {
    signal.removeEventListener('abort', stop)
    qmp?.close()
    stop()
    await ended
  }
}
