// tandem kubeconfig: prints it, for `kubectl --kubeconfig <(…)`, for copying, or for merging.

import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { configOf, type InstanceOptions, stateDirOption } from '../options.ts'
import { CommandError, print } from '../output.ts'
import { kubeconfigPath } from '../process.ts'

export function kubeconfig(program: Command): void {
  program
    .command('kubeconfig')
    .description('print the kubeconfig of the administrator')
    .option(...stateDirOption)
    .option('--path', 'print where it is instead')
    .action((options: InstanceOptions & { path?: boolean }) => {
      const path = kubeconfigPath(configOf(options))
      if (options.path) return print(path)
      try {
        process.stdout.write(readFileSync(path, 'utf8'))
      } catch (error) {
        const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
        throw new CommandError(
          missing
            ? `${path} does not exist yet: run 'sudo ./tandem up' first`
            : `${path} can be read by root only: use sudo`,
        )
      }
    })
}
