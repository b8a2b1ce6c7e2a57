// The command line: the list of commands.

import { Command } from 'commander'
import { demo } from './commands/demo.ts'
import { down } from './commands/down.ts'
import { image } from './commands/image.ts'
import { kubeconfig } from './commands/kubeconfig.ts'
import { serve } from './commands/serve.ts'
import { status } from './commands/status.ts'
import { test } from './commands/test.ts'
import { up } from './commands/up.ts'
import { fail } from './output.ts'
import type { Tools } from './tools.ts'

const commands = [up, serve, down, status, kubeconfig, image, demo, test]

/** Runs one command line; exits with 1 when it fails and 2 when it is not understood. */
export async function runCli(argv: string[], tools: Tools): Promise<void> {
  const program = new Command('tandem')
    .description('Virtual machines and containers side by side on one machine, behind one Kubernetes-compatible API.')
    .version(tools.version)
    .showHelpAfterError("(see 'tandem --help')")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  for (const define of commands) define(program, tools)
  try {
    await program.parseAsync(argv, { from: 'user' })
  } catch (error) {
    fail(error)
  }
}
