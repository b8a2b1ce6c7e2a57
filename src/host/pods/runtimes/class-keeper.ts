// The RuntimeClasses of this node: makes those that it comes with at start, notes of every class whether Pods of it can run
// here (annotations, seen in `kubectl get runtimeclass`), and labels the node with those that can. What a person changed
// of a class stays; one that they removed comes back with the next start.

import { isApiError } from '../../../api/errors.ts'
import type { ResourceRef, StoredObject } from '../../../api/meta.ts'
import type { Clock, Timer } from '../../../base/clock.ts'
import type { Logger } from '../../../base/log.ts'
import type { Client } from '../../../client/client.ts'
import type { InformerFactory } from '../../../client/informer.ts'
import {
  nodeLabelOf,
  type Readiness,
  readinessOf,
  readyAnnotation,
  reasonAnnotation,
  reasonOf,
} from '../../../kinds/node/runtime-readiness.ts'
import { builtInClasses } from './built-in.ts'
import type { RuntimeReadiness, Verdict } from './readiness.ts'

const classes: ResourceRef = { group: 'node.k8s.io', version: 'v1', resource: 'runtimeclasses' }
const nodes: ResourceRef = { group: '', version: 'v1', resource: 'nodes' }

/** What somebody installs while Tandem runs is noticed within this time. */
const lookMs = 30_000
/** Tries wait until the start is over. */
const quietMs = 5_000

/** What a label's key has room for. */
const longestName = 63 - 'runtime.'.length

export interface ClassKeeperOptions {
  client: Client
  informers: InformerFactory
  readiness: RuntimeReadiness
  nodeName: string
  clock: Clock
  log: Logger
}

export interface ClassKeeper {
  /** Resolves when the classes are there. */
  start(): Promise<void>
  /** A verdict has changed. */
  refresh(): void
  stop(): void
}

export const canRun = (ready: Readiness): boolean => ready === 'True' || ready === 'OnDemand'

export function createClassKeeper(options: ClassKeeperOptions): ClassKeeper {
  const { client, readiness, nodeName, clock, log } = options
  const informer = options.informers.informer(classes)
  let timer: Timer | undefined
  let stopped = false
  let turn: Promise<unknown> = Promise.resolve()
  let labelled = ''

  async function make(): Promise<void> {
    for (const object of builtInClasses(readiness.handlers())) {
      await client.create(classes, withVerdict(object, verdictOf(object.handler))).catch((error) => {
        if (!isApiError(error, 'AlreadyExists')) throw error
      })
    }
  }

  const verdictOf = (handler = ''): Verdict => readiness.look(handler) ?? { ready: 'Unknown', reason: '' }

  async function note(object: StoredObject): Promise<void> {
    const { ready, reason } = verdictOf(object.handler)
    // Of a handler that this node does not know there is nothing to say: its Pods wait, as on any other node.
    if (ready === 'Unknown' || (readinessOf(object) === ready && reasonOf(object) === reason)) return
    const annotations = { [readyAnnotation]: ready, [reasonAnnotation]: reason }
    await client.patch(classes, object.metadata.name, undefined, 'merge', { metadata: { annotations } })
  }

  async function label(): Promise<void> {
    const wanted = Object.fromEntries(
      informer
        .list()
        .filter(({ metadata }) => metadata.name.length <= longestName)
        .map((object) => [nodeLabelOf(object.metadata.name), canRun(verdictOf(object.handler).ready)]),
    )
    const text = JSON.stringify(wanted)
    if (text === labelled) return
    const node = await client.get(nodes, nodeName)
    const labels: Record<string, string | null> = {}
    for (const [key, ready] of Object.entries(wanted)) labels[key] = ready ? 'true' : null
    for (const key of Object.keys(node.metadata.labels ?? {}))
      if (key.startsWith(nodeLabelOf('')) && !(key in wanted)) labels[key] = null
    await client.patch(nodes, nodeName, undefined, 'merge', { metadata: { labels } })
    labelled = text
  }

  function refresh(): void {
    if (stopped) return
    turn = turn
      .then(async () => {
        for (const object of informer.list()) await note(object)
        await label()
      })
      .catch((error) => {
        if (!stopped) log.warn('cannot note which runtimes are ready', { error })
      })
  }

  function lookAgain(): void {
    timer = clock.after(lookMs, () => {
      refresh()
      lookAgain()
    })
  }

  return {
    async start() {
      await make()
      await informer.synced()
      informer.addHandler({ changed: refresh, removed: refresh })
      timer = clock.after(quietMs, () => {
        void readiness.tryAll().finally(refresh)
        lookAgain()
      })
    },
    refresh,
    stop() {
      stopped = true
      timer?.cancel()
    },
  }
}

const withVerdict = (object: ReturnType<typeof builtInClasses>[number], { ready, reason }: Verdict) => ({
  ...object,
  metadata: { ...object.metadata, annotations: { [readyAnnotation]: ready, [reasonAnnotation]: reason } },
})
