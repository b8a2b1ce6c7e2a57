// Runs a program on a file that somebody else made: as a user that owns nothing, without network, without sight of
// Tandem's files, bounded in time, memory and output, and gone when Tandem is.

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { ImportError } from './failure.ts'

export interface Bounds {
  cpuSeconds: number
  wallMs: number
  memoryBytes: number
  /** The longest file that it may write. */
  fileBytes: number
}

export interface SandboxRequest {
  argv: string[]
  uid: number
  /** Directory that it must not see. */
  hidden: string
  cwd: string
  /** What it gets open, as descriptors 3, 4, … */
  files?: number[]
  bounds: Bounds
  signal: AbortSignal
}

const hiding = 'mount -t tmpfs -o size=4k,mode=0,nosuid,nodev,noexec tmpfs "$0" && exec "$@"'

export function sandboxed({ argv, uid, hidden, bounds }: Omit<SandboxRequest, 'cwd' | 'signal'>): string[] {
  const { cpuSeconds, memoryBytes, fileBytes } = bounds
  const limits = [
    'prlimit',
    `--cpu=${cpuSeconds}`,
    `--as=${memoryBytes}`,
    `--fsize=${fileBytes}`,
    '--core=0',
    '--nofile=64',
  ]
  const alone = ['unshare', '--net', '--mount', '--propagation=private', 'sh', '-c', hiding, hidden]
  const drop = ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--no-new-privs', '--inh-caps=-all']
  return [...limits, ...alone, ...drop, '--bounding-set=-all', '--pdeathsig=KILL', ...argv]
}

export interface Running {
  child: ChildProcess
  /** @throws ImportError with the last words of the program */
  ended: Promise<string>
}

/** `stdin`: 'pipe' for a program that is fed. */
export function runSandboxed(request: SandboxRequest, stdin: 'ignore' | 'pipe' = 'ignore'): Running {
  const [program, ...args] = sandboxed(request)
  const { cwd, files = [], bounds, signal } = request
  const options: SpawnOptions = {
    cwd,
    stdio: [stdin, 'pipe', 'pipe', ...files],
    env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' },
  }
  const child = spawn(program!, args, options)
  const stop = () => child.kill('SIGKILL')
  const timer = setTimeout(stop, bounds.wallMs)
  signal.addEventListener('abort', stop, { once: true })
  let words = ''
  child.stderr!.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-4000)
  })
  const ended = new Promise<string>((done, fail) => {
    child.on('error', (error) => fail(new ImportError(`cannot run ${request.argv[0]}: ${error.message}`)))
    child.on('close', (code, killed) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      if (code === 0) return done(words)
      if (signal.aborted) return fail(signal.reason)
      const how = killed
        ? `was ended by ${killed}: it took more than it may`
        : words.trim().split('\n').slice(-2).join('; ')
      fail(new ImportError(`${request.argv[0]} ${request.argv[1] ?? ''}: ${how || `exit code ${code}`}`))
    })
  })
  ended.catch(() => {})
  return { child, ended }
}
