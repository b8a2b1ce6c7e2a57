// A real Tandem for a test: its own state directory, port, containerd, interfaces and address ranges; gone without a
// trace at the end, which is checked.

import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stringify } from 'yaml'
import { instanceOf } from '../../src/config.ts'

export const home = resolve(import.meta.dirname, '../..')

export interface CommandResult {
  code: number
  stdout: string
  stderr: string
}

export interface TestTandem {
  stateDir: string
  kubeconfig: string
  port: number
  /** ./tandem <arguments> for this state directory. */
  tandem(...argv: string[]): Promise<CommandResult>
  up(): Promise<void>
  /** kubectl; fails the test when its exit code is not 0. */
  kubectl(...argv: string[]): Promise<string>
  /** The same, with the exit code as the answer. */
  tryKubectl(argv: string[], input?: string): Promise<CommandResult>
  apply(manifest: object | object[]): Promise<void>
  pid(): number
  /** The pid of Tandem ends as by a power cut. */
  kill(): Promise<void>
  close(): Promise<void>
}

/** Which kubectl judges: Debian's newer suites have 1.32 and 1.36. */
export const kubectlOf = (suite: 'trixie' | 'sid'): string =>
  execFileSync(join(home, 'scripts/kubectl-of'), [suite], { encoding: 'utf8' }).trim()

/** Whose id is nobody else's: of many tests side by side two may have the same one day. */
function freshStateDir(): string {
  for (;;) {
    const stateDir = mkdtempSync(join(tmpdir(), 'tandem-e2e-'))
    if (!existsSync(`/run/tandem-${instanceOf(stateDir)}`)) return stateDir
    rmSync(stateDir, { recursive: true })
  }
}

export async function startTandem(
  options: { suite?: 'trixie' | 'sid'; images?: string[]; stateDir?: string } = {},
): Promise<TestTandem> {
  const stateDir = options.stateDir ?? freshStateDir()
  const port = await freePort()
  const kubeconfig = join(stateDir, 'kubeconfig')
  const kubectlPath = kubectlOf(options.suite ?? 'trixie')

  const tandem = (...argv: string[]) => run(join(home, 'tandem'), [...argv, '--state-dir', stateDir])
  const tryKubectl = (argv: string[], input?: string) =>
    run(kubectlPath, argv, {
      env: { ...process.env, KUBECONFIG: kubeconfig, HOME: stateDir },
      ...(input !== undefined && { input }),
    })
  const self: TestTandem = {
    stateDir,
    kubeconfig,
    port,
    tandem,
    async up() {
      const result = await tandem('up', '--listen', `127.0.0.1:${port}`)
      assert.equal(result.code, 0, result.stderr)
    },
    async kubectl(...argv) {
      const result = await tryKubectl(argv)
      assert.equal(result.code, 0, `kubectl ${argv.join(' ')}: ${result.stderr}${result.stdout}`)
      return result.stdout
    },
    tryKubectl,
    async apply(manifest) {
      const documents = [manifest].flat().map((object) => stringify(object))
      const result = await tryKubectl(['apply', '-f', '-'], documents.join('---\n'))
      assert.equal(result.code, 0, result.stderr)
    },
    pid: () => Number(readFileSync(`/run/tandem-${instanceOf(stateDir)}/tandem.pid`, 'utf8')),
    async kill() {
      const pid = self.pid()
      // Of one that was killed before the number may be another program's by now.
      if (!readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(stateDir))
        throw new Error(`process ${pid} is not Tandem`)
      process.kill(pid, 'SIGKILL')
      await until('the process is gone', () => !isAlive(pid))
    },
    async close() {
      const down = await tandem('down', '--all')
      assert.equal(down.code, 0, `${stateDir} is left for a look: ${down.stderr}`)
      const left = traces(stateDir)
      rmSync(stateDir, { recursive: true, force: true })
      assert.deepEqual(left, [], 'left behind by down --all')
    },
  }
  try {
    await self.up()
    for (const image of options.images ?? []) {
      const built = await tandem('image', 'build', join(home, 'images', image))
      assert.equal(built.code, 0, built.stderr)
    }
  } catch (error) {
    await self.close().catch(() => {})
    throw error
  }
  return self
}

/** An image may be waited for that another test builds, on a machine that emulates its guests. */
const patienceMs = 900_000

export function run(
  program: string,
  argv: string[],
  options: { env?: NodeJS.ProcessEnv; input?: string; timeoutMs?: number } = {},
): Promise<CommandResult> {
  return new Promise((done) => {
    const child = execFile(
      program,
      argv,
      { env: options.env, maxBuffer: 64 << 20, timeout: options.timeoutMs ?? patienceMs },
      (error, stdout, stderr) => {
        done({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, stdout, stderr })
      },
    )
    child.stdin?.end(options.input)
  })
}

/** A program that goes on while the test does; `output` grows. */
export function start(program: string, argv: string[], env: NodeJS.ProcessEnv = process.env) {
  const child = spawn(program, argv, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  const state = { child, output: '', ended: false }
  child.stdout.on('data', (chunk) => {
    state.output += chunk
  })
  child.stderr.on('data', (chunk) => {
    state.output += chunk
  })
  child.on('close', () => {
    state.ended = true
  })
  return state
}

type Falsy = false | undefined | null | 0 | ''

/** Asks again until the answer is something, and returns it; fails with what was asked for, after `timeoutMs`. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 300_000,
): Promise<Exclude<T, Falsy>> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const began = Date.now()
    const answer = await condition()
    if (answer) return answer as Exclude<T, Falsy>
    if (Date.now() > end) assert.fail(`not within ${timeoutMs / 1000} s: ${what}`)
    // A look with kubectl takes a third of a processor's second: most of the machine is left to what is waited for.
    await sleep(Math.max(100, 3 * (Date.now() - began)))
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** Below the ports that the kernel gives to clients: one of them would have it when Tandem is to listen there again. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done, fail) => {
    const server = createServer()
    server.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EADDRINUSE' ? done(false) : fail(error)))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })
}

/** What a Tandem could forget to remove; only its own, other things go on at the same time. */
function traces(stateDir: string): string[] {
  const instance = instanceOf(stateDir)
  const ours = (line: string) =>
    [`tandem-${instance}`, `tandem_${instance}`, `td${instance}`, stateDir].some((mark) => line.includes(mark))
  const lines = (program: string, ...argv: string[]) => execFileSync(program, argv, { encoding: 'utf8' }).split('\n')
  const { podCidr } = JSON.parse(readFileSync(join(stateDir, 'settings.json'), 'utf8')) as { podCidr: string }
  const podRoute = `${podCidr.split('.').slice(0, 2).join('.')}.`
  return [
    ...lines('ip', '-o', 'link').filter(ours),
    ...lines('ip', 'route').filter((line) => line.startsWith(podRoute)),
    ...lines('ip', 'netns', 'list').filter(ours),
    ...lines('nft', 'list', 'tables').filter(ours),
    ...readFileSync('/proc/mounts', 'utf8').split('\n').filter(ours),
    ...globSync(['/sys/fs/cgroup/tandem-*', '/sys/fs/cgroup/*/tandem-*']).filter(ours),
    ...lines('ps', '-eo', 'pid,args').filter((line) => ours(line) && !line.includes(' down --all')),
  ]
}
