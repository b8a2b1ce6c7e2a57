// tandem status: does it run, since when, with what.

import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { connect, isReady } from '../connect.ts'
import { configOf, type InstanceOptions, stateDirOption } from '../options.ts'
import { print } from '../output.ts'
import { kubeconfigPath, logPath, runningPid } from '../process.ts'
import type { Tools } from '../tools.ts'

export function status(program: Command, tools: Tools): void {
  program
    .command('status')
    .description('show whether Tandem runs, and what it runs (exit code 0: ready, 3: not running or not ready)')
    .option(...stateDirOption)
    .option('-o, --output <format>', 'json')
    .action(async (options: InstanceOptions & { output?: string }) => {
      const config = configOf(options)
      const pid = runningPid(config)
      const found = pid === undefined ? { ready: false } : await look(config)
      const report = {
        running: pid !== undefined,
        ...(pid !== undefined && { pid, residentMegabytes: residentMegabytes(pid) }),
        ...found,
        version: tools.version,
        stateDir: config.stateDir,
        kubeconfig: kubeconfigPath(config),
        log: logPath(config),
      }
      print(options.output === 'json' ? JSON.stringify(report) : describe(report))
      process.exitCode = report.ready ? 0 : 3
    })
}

async function look(config: ReturnType<typeof configOf>) {
  const connection = connect(config)
  try {
    if (!(await isReady(connection))) return { ready: false }
    const count = async (group: string, resource: string) => {
      const { items } = await connection.client.list({ group, version: 'v1', resource })
      return items.filter((item) => item.status?.phase === 'Running').length
    }
    const [pods, machines, nodes] = await Promise.all([
      count('', 'pods'),
      count('kubevirt.io', 'virtualmachineinstances'),
      connection.client.list({ group: '', version: 'v1', resource: 'nodes' }),
    ])
    const problems = nodes.items.flatMap((node) =>
      (node.status?.conditions ?? [])
        .filter(
          (condition: { type: string; status: string }) =>
            (condition.type === 'Ready') !== (condition.status === 'True'),
        )
        .map((condition: { type: string; message: string }) => `${condition.type}: ${condition.message}`),
    )
    return { ready: true, runningPods: pods, runningVirtualMachines: machines, conditions: problems as string[] }
  } finally {
    connection.close()
  }
}

function describe(report: Record<string, unknown>): string {
  const titles: Record<string, string> = {
    running: 'Running',
    pid: 'Process',
    residentMegabytes: 'Memory (MB)',
    ready: 'Ready',
    runningPods: 'Pods running',
    runningVirtualMachines: 'VMs running',
    conditions: 'Conditions',
    version: 'Version',
    stateDir: 'State directory',
    kubeconfig: 'Kubeconfig',
    log: 'Log',
  }
  return Object.entries(titles)
    .filter(([key]) => report[key] !== undefined && !(Array.isArray(report[key]) && report[key].length === 0))
    .map(
      ([key, title]) => `${`${title}:`.padEnd(18)}${Array.isArray(report[key]) ? report[key].join('; ') : report[key]}`,
    )
    .join('\n')
}

function residentMegabytes(pid: number): number {
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Math.round(Number(kilobytes ?? 0) / 1024)
}
