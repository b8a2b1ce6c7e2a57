// Runs a program on this machine: argv as values, never a shell; output bounded; an error that says what was run.

import { spawn } from 'node:child_process'

export interface RunOptions {
  input?: string | Uint8Array
  /** Kill after this long; default 60 s. */
  timeoutMs?: number
  cwd?: string
  env?: Record<string, string>
  /** Return instead of throwing when the program exits with another code than 0. */
  allowFailure?: boolean
  /** Kill when it is aborted. */
  signal?: AbortSignal
  /** Called for every line of standard error as it comes (progress). */
  onLine?: (line: string) => void
}

export interface RunResult {
  code: number
  stdout: string
  stderr: string
}

const outputLimit = 32 * 1024 * 1024

export class CommandFailed extends Error {
  readonly code: number
  readonly stderr: string
  constructor(argv: string[], code: number, stderr: string) {
    super(`${argv[0]} ${argv[1] ?? ''} failed (${code}): ${stderr.trim().split('\n').slice(-3).join('; ')}`)
    this.name = 'CommandFailed'
    this.code = code
    this.stderr = stderr
  }
}

/** @throws CommandFailed, or Error when the program cannot be started (it is not installed). */
export function run(argv: string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = argv
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, {
      cwd: options.cwd,
      env: options.env ? { ...process.env, ...options.env } : process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    let size = 0
    let partial = ''
    const collect = (into: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length
      if (size > outputLimit) child.kill('SIGKILL')
      else into.push(chunk)
    }
    child.stdout.on('data', collect(out))
    child.stderr.on('data', collect(err))
    if (options.onLine) {
      child.stderr.on('data', (chunk: Buffer) => {
        const lines = (partial + chunk.toString()).split(/\r?\n|\r/)
        partial = lines.pop() ?? ''
        for (const line of lines) options.onLine?.(line)
      })
    }
    const kill = () => child.kill('SIGKILL')
    const timer = setTimeout(kill, options.timeoutMs ?? 60_000)
    options.signal?.addEventListener('abort', kill, { once: true })
    if (options.signal?.aborted) kill()
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      const missing = error.code === 'ENOENT' ? `${program} is not installed or not on the PATH` : error.message
      reject(new Error(`cannot run ${program}: ${missing}`, { cause: error }))
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', kill)
      const result = {
        code: code ?? (signal === 'SIGKILL' ? 137 : 1),
        stdout: Buffer.concat(out).toString(),
        stderr: Buffer.concat(err).toString(),
      }
      if (result.code === 0 || options.allowFailure) resolve(result)
      else
        reject(
          new CommandFailed(
            argv,
            result.code,
            result.stderr || (size > outputLimit ? 'too much output' : `${signal ?? ''}`),
          ),
        )
    })
    child.stdin.on('error', () => {})
    child.stdin.end(options.input)
  })
}
