// An open file given to a QEMU that runs: over a unix socket of its own, as the kernel hands descriptors over. QEMU, which
// sees nothing of the host's files, opens /dev/fdset/<number> then.

import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { machineFiles } from './plan.ts'
import { withSocketPath } from './socket-path.ts'

const answerMs = 5_000

/**
 * Node sends descriptors only between its own processes; the pipes below that can do it to anybody, and are reached this
 * way only.
 */
const binding = (name: string): any => (process as any).binding(name)

/** Gives the file to QEMU as a set of that number and closes it here. @throws Error with what QEMU said */
export async function giveFile(directory: string, file: number, set: number): Promise<void> {
  const { Pipe, constants } = binding('pipe_wrap')
  const carried = new Pipe(constants.SOCKET)
  const opened: number = carried.open(file)
  if (opened !== 0) closeSync(file)
  try {
    if (opened !== 0) throw new Error(`the file cannot be handed over (error ${opened})`)
    const pipe = await withSocketPath(join(directory, machineFiles.handover), connect)
    await speak(pipe, carried, set)
  } finally {
    carried.close()
  }
}

function connect(path: string): Promise<any> {
  const { Pipe, PipeConnectWrap, constants } = binding('pipe_wrap')
  const pipe = new Pipe(constants.IPC)
  return new Promise((resolve, reject) => {
    const request = new PipeConnectWrap()
    request.oncomplete = (status: number) => {
      if (status === 0) resolve(pipe)
      else {
        pipe.close()
        reject(new Error('QEMU takes no files: the machine was started by an older Tandem; restart it'))
      }
    }
    pipe.connect(request, path)
  })
}

/** One conversation: greeting, capabilities, the file, the answer to it. */
function speak(pipe: any, carried: any, set: number): Promise<void> {
  const { WriteWrap } = binding('stream_wrap')
  const socket = new Socket({ handle: pipe } as object)
  return new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => end(new Error('QEMU does not answer')), answerMs)
    const end = (error?: Error) => {
      clearTimeout(timer)
      socket.destroy()
      if (error) reject(error)
      else resolve()
    }
    let text = ''
    const take = (line: string) => {
      const message = JSON.parse(line)
      if (message.QMP) socket.write('{"execute":"qmp_capabilities"}\n')
      else if (message.error) end(new Error(`QEMU refused the file: ${message.error.desc}`))
      else if (message.return?.['fdset-id'] === set) end()
      else if (message.return) send()
    }
    const send = () => {
      const request = new WriteWrap()
      request.handle = pipe
      request.oncomplete = () => {}
      const command = `${JSON.stringify({ execute: 'add-fd', arguments: { 'fdset-id': set } })}\n`
      const failed: number = pipe.writeUtf8String(request, command, carried)
      if (failed) end(new Error(`the file cannot be handed over (error ${failed})`))
    }
    socket.on('error', end)
    socket.on('close', () => end(new Error('QEMU closed the connection')))
    socket.on('data', (data) => {
      text += data.toString('latin1')
      if (text.length > 65_536) end(new Error('QEMU does not speak QMP'))
      const lines = text.split('\n')
      text = lines.pop()!
      try {
        for (const line of lines) if (line.trim()) take(line)
      } catch (error) {
        end(error as Error)
      }
    })
  })
}
