// tandem up: starts Tandem in the background; returns when it is ready.

import { join } from 'node:path'
import type { Command } from 'commander'
import { configOf, type InstanceOptions, listenOption, requireRoot, stateDirOption } from '../options.ts'
import { CommandError, print, remark, seconds } from '../output.ts'
import { kubeconfigPath, logPath, runningPid, startInBackground } from '../process.ts'
import type { Tools } from '../tools.ts'

export function up(program: Command, tools: Tools): void {
  program
    .command('up')
    .description('start Tandem in the background and return when it is ready')
    .option(...stateDirOption)
    .option(...listenOption)
    .option('-o, --output <format>', 'json')
    .action(async (options: InstanceOptions & { output?: string }) => {
      requireRoot('up')
      const config = configOf(options)
      const started = Date.now()
      const { pid, already } = await ensureUp(options, tools)
      if (options.output === 'json') {
        print(
          JSON.stringify({ pid, alreadyRunning: already, kubeconfig: kubeconfigPath(config), log: logPath(config) }),
        )
        return
      }
      remark(
        already
          ? `Tandem runs already (pid ${pid})`
          : `Tandem is ready after ${seconds(Date.now() - started)} (pid ${pid})`,
      )
      print(`export KUBECONFIG=${kubeconfigPath(config)}`)
    })
}

/** Starts the Tandem of `options` unless it runs. */
export async function ensureUp(options: InstanceOptions, tools: Tools): Promise<{ pid: number; already: boolean }> {
  const config = configOf(options)
  const running = runningPid(config)
  if (running === undefined)
    return { pid: await startInBackground(config, join(tools.home, 'src/main.ts')), already: false }
  const { connect, isReady } = await import('../connect.ts')
  const connection = connect(config)
  try {
    if (await isReady(connection)) {
      if (options.listen && new URL(connection.server).port !== String(config.listen.port))
        throw new CommandError(
          `Tandem runs already (pid ${running}) at ${connection.server}: run 'sudo ./tandem down' first to have it elsewhere`,
        )
      return { pid: running, already: true }
    }
  } finally {
    connection.close()
  }
  throw new CommandError(
    `Tandem runs (pid ${running}) but does not answer; see ${logPath(config)}, or run 'sudo ./tandem down' and start it again`,
  )
}
