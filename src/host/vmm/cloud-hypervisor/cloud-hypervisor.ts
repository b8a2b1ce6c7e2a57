// Cloud Hypervisor as the VMM of a micro-VM: told through its HTTP API, its guest's serial line read from a second socket.

import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { withSocketPath } from '../../machines/socket-path.ts'
import { VmmAbsent, type VmmControl, type VmmDriver, VmmRefused, type VmmState } from '../driver.ts'
import { askVmm, type VmmRequest } from '../http-socket.ts'
import { apiSocket, cloudHypervisorArgv, consoleSocket } from './argv.ts'
import { requests } from './requests.ts'

const title = 'Cloud Hypervisor'
/** Memory is written to a disk, or read from it. */
const longMs = 300_000
const consoleBytes = 1024 * 1024
/** What is kept comes at once; a guest that speaks all the time is not listened to for ever. */
const consoleQuietMs = 100
const consoleLongestMs = 400

export const cloudHypervisor: VmmDriver = {
  name: 'cloud-hypervisor',
  title,
  programs: ['cloud-hypervisor', 'cloud-hypervisor-static'],
  remedy:
    'put a release of version 52 or newer into /usr/local/bin: https://github.com/cloud-hypervisor/cloud-hypervisor/releases; Debian has no package of it',
  oldest: { version: 52, because: 'older ones guess the format of an image' },
  can: { emulate: false, saveFolder: false },
  argv: cloudHypervisorArgv,
  control,
}

function control(directory: string): VmmControl {
  const ask = (request: VmmRequest, timeoutMs?: number) =>
    askVmm({ title, path: join(directory, apiSocket), ...(timeoutMs && { timeoutMs }) }, request)
  const simply = (request: VmmRequest) => async () => {
    await ask(request)
  }
  return {
    async state(): Promise<VmmState> {
      try {
        return stateOf((await ask(requests.info))?.state)
      } catch (error) {
        if (error instanceof VmmAbsent) return 'absent'
        // It waits: there is no guest to tell of.
        if (error instanceof VmmRefused) return 'paused'
        throw error
      }
    },
    console: () => withSocketPath(join(directory, consoleSocket), readConsole),
    pause: simply(requests.pause),
    resume: simply(requests.resume),
    async save(folder) {
      await ask(requests.snapshot(folder), longMs)
    },
    async load(folder) {
      await ask(requests.restore(folder), longMs)
    },
    pressPower: simply(requests.powerButton),
    quit: simply(requests.shutdown),
  }
}

/** Its words: Created, Running, Shutdown, Paused, BreakPoint. */
export const stateOf = (word: unknown): VmmState => (word === 'Running' ? 'running' : 'paused')

function readConsole(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(path)
    const parts: Buffer[] = []
    let size = 0
    let quiet: NodeJS.Timeout | undefined
    const end = () => {
      clearTimeout(quiet)
      clearTimeout(longest)
      socket.destroy()
      resolve(Buffer.concat(parts).toString('utf8'))
    }
    const longest = setTimeout(end, consoleLongestMs)
    const wait = () => {
      clearTimeout(quiet)
      quiet = setTimeout(end, consoleQuietMs)
    }
    socket.once('connect', wait)
    socket.on('data', (part) => {
      size += part.length
      parts.push(part)
      if (size > consoleBytes) end()
      else wait()
    })
    socket.once('end', end)
    socket.once('error', (error) => {
      clearTimeout(longest)
      clearTimeout(quiet)
      reject(new VmmAbsent(title, 'reading the console', { cause: error }))
    })
  })
}
