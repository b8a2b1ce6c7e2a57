// A command inside a guest, by its agent (guest-exec). The agent gives output only once a command has ended and takes
// input only before it begins, so that a shell in the guest stands between: output goes through files that are read while
// they grow, input through a FIFO that further small commands fill. A guest without /bin/sh gets what the agent can.

import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '../../api/errors.ts'
import type { ExecOptions, ExecSession, ExitStatus } from '../../api/streams.ts'
import type { Agent } from './agent.ts'

type Asked = Pick<Agent, 'execute'>

interface Status {
  exited: boolean
  exitcode?: number
  signal?: number
  'out-data'?: string
  'err-data'?: string
}

const answerMs = 15_000
const readBytes = 128 * 1024
const inputBytes = 512 * 1024
const shortestWaitMs = 10
const longestWaitMs = 250
const shell = '/bin/sh'

/** $0 is a directory of our own, the arguments are the command. A sleeping process holds the input open until it is killed. */
function wrapper({ stdin, stdout, stderr, tty }: ExecOptions): string {
  const output = `>${stdout ? '"$d/out"' : '/dev/null'} 2>${tty ? '&1' : stderr ? '"$d/err"' : '/dev/null'}`
  return [
    'd=$0; umask 077; h=',
    '[ -n "$PATH" ] || PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH',
    ...(tty ? ['[ -n "$TERM" ] || TERM=xterm; export TERM'] : []),
    'cd "$HOME" 2>/dev/null || cd /',
    'mkdir "$d" && : >"$d/out" && : >"$d/err" || exit 125',
    ...(stdin
      ? ['mkfifo "$d/in" && exec 3<>"$d/in" || exit 125', 'sleep 2147483647 </dev/null >/dev/null 2>&1 & h=$!']
      : []),
    `"$@" <${stdin ? '"$d/in" 3>&-' : '/dev/null'} ${output} & p=$!`,
    ...(stdin ? ['exec 3>&-'] : []),
    'echo "$p $h" >"$d/pids.new"; mv "$d/pids.new" "$d/pids"',
    'wait "$p"; c=$?; [ -z "$h" ] || kill "$h" 2>/dev/null; exit "$c"',
  ].join('\n')
}

const quoted = (words: string[]): string => words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')

/** With a terminal where the guest has a program that makes one. */
const withTerminal = (command: string[]): string[] => [
  shell,
  '-c',
  `if command -v script >/dev/null; then exec script -qec "$0" /dev/null; else exec "$@"; fi`,
  quoted(command),
  ...command,
]

const refused = (error: unknown): ApiError =>
  new ApiError('InternalError', `cannot run a command in the guest: ${(error as Error).message}`, undefined, {
    cause: error,
  })

/** @throws ApiError when the agent does not let commands run. */
export async function execInGuest(agent: Asked, options: ExecOptions): Promise<ExecSession> {
  const ask = <T>(command: string, args?: object) => agent.execute<T>(command, args, answerMs)
  const directory = `/tmp/.tandem-exec-${randomBytes(8).toString('hex')}`
  const command = options.tty ? withTerminal(options.command) : options.command
  let pid: number
  try {
    const arg = ['-c', wrapper(options), directory, ...command]
    pid = (await ask<{ pid: number }>('guest-exec', { path: shell, arg })).pid
  } catch (error) {
    return await execPlain(agent, options, error)
  }
  const guest = createGuest(ask, directory)
  const state: { ended?: Status } = {}
  const exit = watchEnd(ask, pid, state)
  const output = (name: string) => growingFile(guest, `${directory}/${name}`, state)
  const streams: Promise<void>[] = []
  const kept = (source: AsyncIterable<Uint8Array>) => {
    const { stream, done } = withEnd(source)
    streams.push(done)
    return stream
  }
  const session: ExecSession = {
    ...(options.stdin && { stdin: inputOf(guest, state) }),
    ...(options.stdout && { stdout: kept(output('out')) }),
    ...(options.stderr && !options.tty && { stderr: kept(output('err')) }),
    resize() {
      // The terminal is the guest's own program's; nothing tells it a size.
    },
    exit,
    close: () => {
      if (!state.ended) void guest.run('set -- $(cat "$0/pids"); kill -HUP "$1"').catch(() => {})
    },
  }
  // What is in the FIFO when its reader is gone lets its writers go.
  void Promise.allSettled([exit, ...streams]).then(() =>
    guest.run('[ -p "$0/in" ] && : <>"$0/in"; rm -rf "$0"').catch(() => {}),
  )
  return session
}

type Ask = <T>(command: string, args?: object) => Promise<T>

function createGuest(ask: Ask, directory: string) {
  return {
    ask,
    /** A line of shell with the directory as $0; waits for its end. */
    async run(script: string, input?: Uint8Array): Promise<void> {
      const { pid } = await ask<{ pid: number }>('guest-exec', {
        path: shell,
        arg: ['-c', script, directory],
        ...(input && { 'input-data': Buffer.from(input).toString('base64') }),
      })
      const { exitcode } = await ended(ask, pid)
      if (exitcode !== 0) throw new Error(`a shell in the guest ended with ${exitcode}`)
    },
  }
}

type Guest = ReturnType<typeof createGuest>

async function ended(ask: Ask, pid: number): Promise<Status> {
  for (let wait = shortestWaitMs; ; wait = Math.min(wait * 1.5, longestWaitMs)) {
    const status = await ask<Status>('guest-exec-status', { pid })
    if (status.exited) return status
    await sleep(wait)
  }
}

const exitOf = ({ exitcode, signal }: Status): ExitStatus => ({ kind: 'exited', code: exitcode ?? 128 + (signal ?? 0) })

async function watchEnd(ask: Ask, pid: number, state: { ended?: Status }): Promise<ExitStatus> {
  try {
    state.ended = await ended(ask, pid)
    return exitOf(state.ended)
  } catch (error) {
    state.ended = { exited: true }
    return { kind: 'failed', message: (error as Error).message }
  }
}

/** The file's bytes until the command has ended and all was read. */
async function* growingFile(guest: Guest, path: string, state: { ended?: Status }): AsyncGenerator<Uint8Array> {
  const handle = await opened(guest, path, state)
  if (handle === undefined) return
  try {
    for (let wait = shortestWaitMs; ; ) {
      const isLast = state.ended !== undefined
      const read = await guest.ask<{ count: number; 'buf-b64': string }>('guest-file-read', {
        handle,
        count: readBytes,
      })
      if (read.count > 0) {
        wait = shortestWaitMs
        yield Buffer.from(read['buf-b64'], 'base64')
      } else {
        if (isLast) return
        await sleep(wait)
        wait = Math.min(wait * 1.5, longestWaitMs)
      }
    }
  } finally {
    await guest.ask('guest-file-close', { handle }).catch(() => {})
  }
}

/** The shell makes the file first of all; undefined when it ended before it could. */
async function opened(guest: Guest, path: string, state: { ended?: Status }): Promise<number | undefined> {
  for (;;) {
    const isLast = state.ended !== undefined
    try {
      return await guest.ask<number>('guest-file-open', { path, mode: 'r' })
    } catch (error) {
      if (isLast) return undefined
      if (!/No such file|failed to open/i.test((error as Error).message)) throw error
      await sleep(shortestWaitMs)
    }
  }
}

/** Tells when its reader is through, or gave up. */
function withEnd(source: AsyncIterable<Uint8Array>): { stream: AsyncIterable<Uint8Array>; done: Promise<void> } {
  let finish = () => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  async function* stream() {
    try {
      yield* source
    } finally {
      finish()
    }
  }
  return { stream: stream(), done }
}

/** Every piece costs a process in the guest: what comes while one is under way goes with the next. */
function inputOf(guest: Guest, state: { ended?: Status }): NonNullable<ExecSession['stdin']> {
  /** The shell writes down who it is once the FIFO is there and held open. */
  const ready = 'n=0; while [ ! -e "$0/pids" ]; do n=$((n+1)); [ $n -lt 99 ] || exit 1; sleep 0.1 || sleep 1; done; '
  let waiting = Buffer.alloc(0)
  let isOver = false
  let failure: unknown
  let moving: Promise<void> | undefined

  async function move(): Promise<void> {
    const piece = waiting.subarray(0, inputBytes)
    waiting = waiting.subarray(piece.length)
    if (piece.length > 0) await guest.run(`${ready}exec cat >"$0/in"`, piece)
    else await guest.run(`${ready}set -- $(cat "$0/pids"); kill "$2" 2>/dev/null || :`)
  }

  /** One piece after the other; with none left, the end. */
  function goOn(): void {
    if (moving || failure || state.ended || (waiting.length === 0 && !isOver)) return
    const isLast = waiting.length === 0
    moving = move()
      .catch((error) => {
        failure = error
      })
      .finally(() => {
        moving = undefined
        if (!isLast) goOn()
      })
  }

  return {
    async write(chunk) {
      if (failure) throw failure
      waiting = Buffer.concat([waiting, chunk])
      goOn()
      while (moving && waiting.length > inputBytes) await moving
    },
    end() {
      isOver = true
      goOn()
    },
  }
}

/** Output comes when the command has ended. */
async function execPlain(agent: Asked, { command, stdin, stdout, stderr }: ExecOptions, why: unknown) {
  if (stdin) throw refused(why)
  const ask: Ask = (name, args) => agent.execute(name, args, answerMs)
  const [path, ...arg] = command
  const started = await ask<{ pid: number }>('guest-exec', { path, arg, 'capture-output': true }).catch((error) => {
    throw refused(error)
  })
  const end = ended(ask, started.pid)
  async function* data(name: 'out-data' | 'err-data') {
    const text = (await end)[name]
    if (text) yield Buffer.from(text, 'base64')
  }
  const session: ExecSession = {
    ...(stdout && { stdout: data('out-data') }),
    ...(stderr && { stderr: data('err-data') }),
    resize() {},
    exit: end.then(exitOf, (error): ExitStatus => ({ kind: 'failed', message: (error as Error).message })),
    close() {},
  }
  return session
}
