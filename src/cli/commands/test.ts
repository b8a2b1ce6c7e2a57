// tandem test [unit|e2e]: types, linter, floors and unit tests; then the tests with the real parts.

import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { requireRoot } from '../options.ts'
import { CommandError, remark, seconds } from '../output.ts'
import type { Tools } from '../tools.ts'

interface Stage {
  name: string
  argv: string[]
}

export function test(program: Command, tools: Tools): void {
  program
    .command('test [which]')
    .description('run all tests, or only "unit" (no root) or "e2e" (real containerd, QEMU and kubectl)')
    .action(async (which?: string) => {
      if (which !== undefined && which !== 'unit' && which !== 'e2e') {
        throw new CommandError(`there are no tests called '${which}': write unit, e2e or nothing`, 2)
      }
      if (which !== 'unit') requireRoot('test')
      const started = Date.now()
      for (const stage of which === 'e2e' ? [] : unitStages(tools.home)) {
        remark(`\n── ${stage.name}`)
        await runStage(tools.home, stage)
      }
      if (which !== 'unit') await runLanes(tools.home, e2eStages(tools.home))
      remark(`\nAll of it passed in ${seconds(Date.now() - started)}.`)
    })
}

const tool = (home: string, name: string) => join(home, 'node_modules/.bin', name)
const testsOf = (home: string, ...patterns: string[]) =>
  patterns.flatMap((pattern) => globSync(pattern, { cwd: home })).sort()

function unitStages(home: string): Stage[] {
  const tests = testsOf(home, 'src/**/*.test.ts', 'test/*.test.ts')
  return [
    { name: 'types of the pure rooms', argv: [tool(home, 'tsc'), '-p', 'tsconfig.pure.json'] },
    { name: 'types', argv: [tool(home, 'tsc'), '-p', 'tsconfig.json'] },
    { name: 'linter and format', argv: [tool(home, 'biome'), 'check', '.'] },
    {
      name: `unit tests (${tests.length} files)`,
      argv: [process.execPath, '--test', '--test-isolation=none', '--test-reporter=dot', ...tests],
    },
  ]
}

/** They take longest, and begin first: nothing long is left over when the other lane has ended. */
const longest = ['demo', 'virtual-machines', 'restart', 'data-volumes', 'isolation', 'virtctl-exports'].map(
  (name) => `test/e2e/${name}.test.ts`,
)
/** Of a single test or hook, ms: the demo's builds two disk images, while others wait for what these need, too. */
const timeoutMs = 2_400_000

function e2eStages(home: string): Stage[] {
  const files = testsOf(home, 'test/e2e/*.test.ts')
  return [...longest, ...files.filter((file) => !longest.includes(file))].map((file) => ({
    name: file,
    argv: [process.execPath, '--test', `--test-timeout=${timeoutMs}`, file],
  }))
}

/** Files that wait for a guest most of the time; each Tandem has its own state directory, ports and addresses. */
const lanes = 2

/** Shows what a file printed when it is through; all of them run. @throws CommandError naming the files that failed. */
async function runLanes(home: string, stages: Stage[]): Promise<void> {
  const waiting = [...stages]
  const failed: string[] = []
  const lane = async () => {
    for (let stage = waiting.shift(); stage; stage = waiting.shift()) {
      const output: Buffer[] = []
      const started = Date.now()
      remark(`   ${stage.name} …`)
      await runStage(home, stage, output).catch(() => failed.push(stage.name))
      remark(`\n── ${stage.name} (${seconds(Date.now() - started)})\n${Buffer.concat(output)}`)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  if (failed.length > 0) throw new CommandError(`failed: ${failed.sort().join(', ')}`)
}

/** @param output takes what it prints; without it that is seen at once */
function runStage(home: string, { name, argv }: Stage, output?: Buffer[]): Promise<void> {
  const [program, ...args] = argv
  const to = output ? 'pipe' : 'inherit'
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { cwd: home, stdio: ['ignore', to, to] })
    child.stdout?.on('data', (chunk: Buffer) => output!.push(chunk))
    child.stderr?.on('data', (chunk: Buffer) => output!.push(chunk))
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve() : reject(new CommandError(`${name} failed`))))
  })
}
