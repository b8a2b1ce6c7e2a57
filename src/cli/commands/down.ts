// tandem down: stops Tandem and leaves workloads running; --all stops everything and leaves nothing behind.

import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { configOf, type InstanceOptions, requireRoot, stateDirOption } from '../options.ts'
import { createSteps, remark } from '../output.ts'
import { runningPid, stopProcess } from '../process.ts'
import type { Tools } from '../tools.ts'

export function down(program: Command, tools: Tools): void {
  program
    .command('down')
    .description('stop Tandem; containers and virtual machines run on (with --all they are stopped and removed)')
    .option(...stateDirOption)
    .option('--all', 'stop all workloads; leave no process, mount, namespace, interface or nftables table')
    .action(async (options: InstanceOptions & { all?: boolean }) => {
      requireRoot('down')
      const config = configOf(options)
      const pid = runningPid(config)
      if (pid !== undefined) await stopProcess(pid)
      remark(pid === undefined ? 'Tandem does not run' : 'Tandem is stopped')
      if (!options.all) return
      if (!existsSync(config.stateDir)) return remark(`${config.stateDir} does not exist: nothing to stop`)
      const steps = createSteps()
      await tools.removeEverything(config, (step) => steps.line(`  ${step}`))
      remark(`Everything is stopped. State is kept in ${config.stateDir}; remove that directory to forget it.`)
    })
}
