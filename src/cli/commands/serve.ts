// tandem serve: the same as up, in the foreground. tandem dev: without root, over memory and a pretended host.

import type { Command } from 'commander'
import { configOf, type InstanceOptions, listenOption, parseListen, requireRoot, stateDirOption } from '../options.ts'
import type { Tools } from '../tools.ts'

export function serve(program: Command, tools: Tools): void {
  program
    .command('serve')
    .description('run Tandem in the foreground')
    .option(...stateDirOption)
    .option(...listenOption)
    .action(async (options: InstanceOptions) => {
      requireRoot('serve')
      await tools.serve(configOf(options))
    })
}

export function dev(program: Command, tools: Tools): void {
  program
    .command('dev')
    .description('run the real API server over a store in memory and a host that only pretends (no root)')
    .option('--listen <address:port>', 'where the API listens', '127.0.0.1:7443')
    .option('--store <file>', 'keep the objects in this file instead of in memory')
    .option('--kubeconfig <file>', 'where to write the kubeconfig')
    .action(async ({ listen, ...options }: { listen: string; store?: string; kubeconfig?: string }) => {
      await tools.dev({ listen: parseListen(listen), ...options })
    })
}
