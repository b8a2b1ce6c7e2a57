// tandem compare: the same image in every isolation that is ready here, side by side in one table.

import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import type { Command } from 'commander'
import { normalizeImageName } from '../../kinds/core/image-name.ts'
import { type Comparison, compareAll, type Row } from '../compare/compare.ts'
import { isolationsOf } from '../compare/isolations.ts'
import { makeNamespace, namespaceReady, removeNamespace } from '../compare/pods.ts'
import { reportData, reportText } from '../compare/report.ts'
import { type Connection, connect, isReady } from '../connect.ts'
import { configOf, type InstanceOptions, requireRoot, stateDirOption } from '../options.ts'
import { CommandError, createSteps, print, remark } from '../output.ts'
import type { Tools } from '../tools.ts'

interface CompareOptions extends InstanceOptions {
  only?: string
  warm: string
  output?: string
}

const interruptedCode = 130

export function compare(program: Command, tools: Tools): void {
  program
    .command('compare <image>')
    .description('run an image in every isolation that is ready here, and measure starts, memory, calls and files')
    .option(...stateDirOption)
    .option('--only <classes>', 'names of runtime classes, separated by commas (default: all that are ready)')
    .option('--warm <number>', 'warm starts of each, of which the median counts', '3')
    .option('-o, --output <format>', 'json')
    .addHelpText(
      'after',
      `
The Pods are real ones, made through the API in a namespace of their own, which is removed at the end.
cold: the first Pod of the image in that isolation in this run; warm: the ones after it.
memory: all processes of the Pod on this machine, with QEMU or gVisor; shared pages count in parts.
Exit code 0: all were measured; 1: one could not be, or nothing could; 130: interrupted.`,
    )
    .action(async (image: string, options: CompareOptions) => {
      requireRoot('compare')
      const warmStarts = numberOf(options.warm)
      if (options.output !== undefined && options.output !== 'json')
        throw new CommandError(`-o ${options.output}: write json, or leave it out for a table`, 2)
      const connection = connect(configOf(options))
      try {
        if (!(await isReady(connection))) throw new CommandError("Tandem does not run: run 'sudo ./tandem up' first")
        await run(connection, await presentImage(image, options, tools), warmStarts, options)
      } finally {
        connection.close()
      }
    })
}

function numberOf(text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1 || number > 100)
    throw new CommandError(`--warm ${text}: write a number from 1 to 100`, 2)
  return number
}

/** Nothing is pulled: the first start would be measured with the network. */
async function presentImage(image: string, options: InstanceOptions, tools: Tools): Promise<string> {
  const wanted = normalizeImageName(image)
  const images = await tools.openImages(configOf(options))
  try {
    const present = (await images.list()).flatMap(({ names }) => names)
    if (present.includes(wanted)) return wanted
    const names = present.toSorted().join(', ') || 'none'
    throw new CommandError(
      `image ${image} is not on this machine (there are: ${names}): make it with 'sudo ./tandem image build images/NAME' or bring it with 'sudo ./tandem image load ARCHIVE'`,
    )
  } finally {
    await images.close()
  }
}

async function run(connection: Connection, image: string, warmStarts: number, options: CompareOptions): Promise<void> {
  const { client, access } = connection
  const classes = await client.list({ group: 'node.k8s.io', version: 'v1', resource: 'runtimeclasses' })
  const { isolations, notReady } = isolationsOf(classes.items, options.only?.split(','))
  const interrupted = new AbortController()
  const rows: Row[] = []
  const steps = createSteps()
  const release = onInterrupt(interrupted)
  let namespace = ''
  try {
    const { signal } = interrupted
    namespace = await makeNamespace(client)
    await namespaceReady(client, namespace, signal)
    const comparison: Comparison = {
      client,
      access,
      namespace,
      image,
      warmStarts,
      signal,
      step: steps.step.bind(steps),
    }
    await compareAll(comparison, isolations, rows)
  } catch (error) {
    if (!interrupted.signal.aborted) throw error
  } finally {
    if (namespace) await steps.step('remove the Pods', () => removeNamespace(client, namespace))
    release()
  }
  const report = { image, machine: machine(), rows, notReady }
  if (interrupted.signal.aborted) process.exitCode = interruptedCode
  else {
    print(options.output === 'json' ? JSON.stringify(reportData(report)) : `\n${reportText(report)}`)
    process.exitCode = rows.some(({ problem }) => problem) ? 1 : 0
  }
}

/** The first time it is asked to stop, it takes away what it has made; the second time it ends. */
function onInterrupt(controller: AbortController): () => void {
  const stop = () => {
    if (controller.signal.aborted) process.exit(interruptedCode)
    remark('\nInterrupted: taking away what was made (once more leaves it) …')
    controller.abort(new CommandError('interrupted', interruptedCode))
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop)
  return () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop)
  }
}

function machine(): string {
  const model = /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]
  return `${cpus().length} processors${model ? ` (${model})` : ''}, Linux ${release()}`
}
