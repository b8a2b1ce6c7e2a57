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
      const stages = [
        ...(which === 'e2e' ? [] : unitStages(tools.home)),
        ...(which === 'unit' ? [] : e2eStages(tools.home)),
      ]
      const started = Date.now()
      for (const stage of stages) {
        remark(`\n── ${stage.name}`)
        await runStage(tools.home, stage)
      }
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

/** One file after the other: they share the machine's two cores and its network namespace. */
function e2eStages(home: string): Stage[] {
  return testsOf(home, 'test/e2e/*.test.ts').map((file) => ({
    name: file,
    argv: [process.execPath, '--test', '--test-timeout=600000', file],
  }))
}

function runStage(home: string, { name, argv }: Stage): Promise<void> {
  const [program, ...args] = argv
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { cwd: home, stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', reject)
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new CommandError(`${name} failed`))))
  })
}
