// The command line: the list of commands. Only the one that is asked for is loaded.

import { Command } from 'commander'
import { fail } from './output.ts'
import type { Tools } from './tools.ts'

type Define = (program: Command, tools: Tools) => void

const commands: Record<string, () => Promise<Define>> = {
  up: async () => (await import('./commands/up.ts')).up,
  serve: async () => (await import('./commands/serve.ts')).serve,
  dev: async () => (await import('./commands/serve.ts')).dev,
  down: async () => (await import('./commands/down.ts')).down,
  status: async () => (await import('./commands/status.ts')).status,
  kubeconfig: async () => (await import('./commands/kubeconfig.ts')).kubeconfig,
  image: async () => (await import('./commands/image.ts')).image,
  compare: async () => (await import('./commands/compare.ts')).compare,
  demo: async () => (await import('./commands/demo.ts')).demo,
  test: async () => (await import('./commands/test.ts')).test,
}

/** Runs one command line; exits with 1 when it fails and 2 when it is not understood. */
export async function runCli(argv: string[], tools: Tools): Promise<void> {
  const program = new Command('tandem')
    .description('Virtual machines and containers side by side on one machine, behind one Kubernetes-compatible API.')
    .version(tools.version)
    .showHelpAfterError("(see 'tandem --help')")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  const [name = ''] = argv
  const wanted = Object.hasOwn(commands, name) ? [commands[name]!] : Object.values(commands)
  for (const load of wanted) (await load())(program, tools)
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    fail(error)
  }
}
