// QEMU's machine protocol: greeting, capabilities, commands with a deadline, events. One connection; whoever holds it
// opens a new one after it closed.

import { type JsonSocket, openJsonSocket } from './json-socket.ts'

export interface QmpEvent {
  event: string
  data?: Record<string, any>
  timestamp?: { seconds: number; microseconds: number }
}

/** QEMU said no: `kind` is its error class. */
export class QmpError extends Error {
  readonly kind: string
  constructor(command: string, kind: string, description: string) {
    super(`QEMU refused ${command}: ${description}`)
    this.name = 'QmpError'
    this.kind = kind
  }
}

export interface Qmp {
  /** "7.2.22" */
  readonly version: string
  readonly closed: boolean
  /** @throws QmpError; Error when the connection is gone or the answer does not come in time. */
  execute<T = any>(command: string, args?: object, timeoutMs?: number): Promise<T>
  close(): void
}

export interface QmpHandlers {
  onEvent(event: QmpEvent): void
  onClose(reason: string): void
}

/** The longest real answer (query-qmp-schema) has 186 KB in QEMU 7.2. */
const lineLimit = 4 * 1024 * 1024
const usualMs = 10_000
/** Commands that wait for an answer at one time. */
const pendingLimit = 256

interface Pending {
  command: string
  resolve(value: any): void
  reject(error: Error): void
  timer: ReturnType<typeof setTimeout>
}

/**
 * Connects and negotiates. Who has more patience than usual for this has it for each answer, too.
 * @throws Error when nobody listens, or QEMU does not greet in time.
 */
export async function openQmp(path: string, handlers: QmpHandlers, timeoutMs = usualMs): Promise<Qmp> {
  const pending = new Map<number, Pending>()
  let nextId = 1
  let greeted: (version: string) => void = () => {}
  let failed: (error: Error) => void = () => {}
  let announced = false
  const greeting = new Promise<string>((resolve, reject) => {
    greeted = resolve
    failed = reject
  })
  greeting.catch(() => {})

  const socket: JsonSocket = await openJsonSocket({
    path,
    limit: lineLimit,
    connectTimeoutMs: timeoutMs,
    onMessage,
    onClose(reason) {
      failed(new Error(`QMP: ${reason}`))
      for (const wait of pending.values()) {
        clearTimeout(wait.timer)
        wait.reject(new Error(`QMP: ${reason} while waiting for ${wait.command}`))
      }
      pending.clear()
      if (announced) handlers.onClose(reason)
    },
  })

  function onMessage(message: Record<string, any>): void {
    if (message.QMP) greeted(versionOf(message.QMP))
    else if (typeof message.event === 'string') handlers.onEvent(message as QmpEvent)
    else answer(message)
  }

  function answer(message: Record<string, any>): void {
    const wait = pending.get(message.id)
    if (!wait) return
    pending.delete(message.id)
    clearTimeout(wait.timer)
    if (message.error) wait.reject(new QmpError(wait.command, `${message.error.class}`, `${message.error.desc}`))
    else wait.resolve(message.return)
  }

  function execute<T>(command: string, args?: object, commandTimeoutMs = Math.max(timeoutMs, usualMs)): Promise<T> {
    if (socket.closed) return Promise.reject(new Error(`QMP: not connected, ${command} not sent`))
    if (pending.size >= pendingLimit) return Promise.reject(new Error('QMP: too many commands wait for an answer'))
    const id = nextId++
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        pending.delete(id)
        reject(new Error(`QMP: no answer to ${command} in ${commandTimeoutMs} ms`))
      }, commandTimeoutMs)
      timer.unref()
      pending.set(id, { command, resolve, reject, timer })
      socket.send({ execute: command, ...(args && { arguments: args }), id })
    })
  }

  const deadline = setTimeout(() => failed(new Error(`QMP: no greeting in ${timeoutMs} ms`)), timeoutMs)
  try {
    const version = await greeting
    await execute('qmp_capabilities', undefined, timeoutMs)
    announced = true
    return {
      version,
      get closed() {
        return socket.closed
      },
      execute,
      close: () => socket.close(),
    }
  } catch (error) {
    socket.close()
    throw error
  } finally {
    clearTimeout(deadline)
  }
}

function versionOf(greeting: any): string {
  const { major = 0, minor = 0, micro = 0 } = greeting?.version?.qemu ?? {}
  return [major, minor, micro].map((part) => Number(part) || 0).join('.')
}
