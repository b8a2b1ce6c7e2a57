// The comparison: in each isolation, one after another, Pods of the same image are started, asked and measured.

import type { Client } from '../../client/client.ts'
import type { ServerAccess } from '../../client/kubeconfig.ts'
import { exec } from './exec.ts'
import type { Isolation } from './isolations.ts'
import { type Measures, measuring, parseMeasures, question } from './measures.ts'
import { type ProcessMemory, podMemory } from './pod-memory.ts'
import { container, removePod, StartProblem, startPod, type Wanted } from './pods.ts'

export interface Start {
  /** Milliseconds from the creation of the Pod. */
  runningMs: number
  /** The first answer of the first command in it. */
  answerMs?: number
}

export interface Row {
  isolation: Isolation
  cold?: Start
  warm: Start[]
  memory?: ProcessMemory[]
  /** /proc/version, and `uname -r`. */
  version?: string
  release?: string
  measures?: Measures
  /** Why it could not be measured (any further). */
  problem?: string
}

export interface Comparison {
  client: Client
  access: ServerAccess
  namespace: string
  image: string
  warmStarts: number
  signal: AbortSignal
  /** Says what is being done while it is. */
  step<T>(title: string, body: () => Promise<T>): Promise<T>
}

const questionMs = 60_000
const measuringMs = 180_000
export const noShell = 'the image has no sh'

/** The rows are there also when it is interrupted in the middle. */
export async function compareAll(comparison: Comparison, isolations: Isolation[], rows: Row[]): Promise<void> {
  let shell = true
  for (const isolation of isolations) {
    const row: Row = { isolation, warm: [] }
    rows.push(row)
    try {
      shell = await measure(comparison, row, shell)
    } catch (error) {
      comparison.signal.throwIfAborted()
      row.problem = (error as Error).message
    }
  }
}

/** @returns whether the image has a shell */
async function measure(comparison: Comparison, row: Row, shellKnown: boolean): Promise<boolean> {
  const { step, signal, client, namespace } = comparison
  const { name, fetches } = row.isolation
  const wanted = (turn: number, shell: boolean): Wanted => ({
    ...{ namespace, image: comparison.image, runtimeClassName: name },
    ...{ name: `${name}-${turn}`, shell },
  })
  let shell = shellKnown
  await step(`${name}: cold start${fetches ? ' (fetches what it needs)' : ''}`, async () => {
    try {
      row.cold = await startAndAsk(comparison, wanted(0, shell), row)
    } catch (error) {
      if (!shell || !(error instanceof StartProblem && lacksShell(error.message))) throw error
      shell = false
      await removePod(client, namespace, `${name}-0`, signal)
      row.cold = await startAndAsk(comparison, wanted(0, shell), row)
    }
    await removePod(client, namespace, `${name}-0`, signal)
  })
  for (let turn = 1; turn <= comparison.warmStarts; turn++) {
    const isLast = turn === comparison.warmStarts
    await step(`${name}: warm start ${turn} of ${comparison.warmStarts}`, async () => {
      row.warm.push(await startAndAsk(comparison, wanted(turn, shell), isLast ? row : undefined))
      if (!isLast) await removePod(client, namespace, `${name}-${turn}`, signal)
    })
  }
  if (shell)
    await step(`${name}: calls and files`, async () => {
      row.measures = await measureInside(comparison, `${name}-${comparison.warmStarts}`)
    })
  await removePod(client, namespace, `${name}-${comparison.warmStarts}`, signal)
  return shell
}

/** runc, runsc, crun and a micro-VM's crun say it in these words. */
export const lacksShell = (message: string): boolean =>
  /["'/ ]sh["' :].*(not found|no such file|not exist)|(not found|no such file).*["'/ ]sh\b/is.test(message)

/** @param row takes what is seen beside the times */
async function startAndAsk(comparison: Comparison, wanted: Wanted, row: Row | undefined): Promise<Start> {
  const { client, signal, access } = comparison
  const { pod, started, runningMs } = await startPod(client, wanted, signal)
  const target = { namespace: wanted.namespace, pod: wanted.name, container }
  let start: Start = { runningMs }
  if (wanted.shell) {
    const answer = await exec(access, target, question, { signal, timeoutMs: questionMs })
    start = { runningMs, answerMs: (answer.firstAt ?? performance.now()) - started }
    const [version = '', release = ''] = answer.stdout.trim().split('\n')
    if (row) Object.assign(row, { version, release: release || (version.split(' ')[2] ?? '') })
  }
  if (row) row.memory = podMemory(pod)
  return start
}

async function measureInside({ access, namespace, signal }: Comparison, pod: string): Promise<Measures> {
  const answer = await exec(access, { namespace, pod, container }, measuring, { signal, timeoutMs: measuringMs })
  return parseMeasures(answer.stdout)
}
