// The Pods of a comparison: made and watched through the API, in a namespace of their own that takes all of them along.

import { setTimeout as sleep } from 'node:timers/promises'
import { isApiError } from '../../api/errors.ts'
import type { ResourceRef, StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import { CommandError } from '../output.ts'
import { idle, scratch } from './measures.ts'

const core = (resource: string): ResourceRef => ({ group: '', version: 'v1', resource })
const namespaces = core('namespaces')
export const pods = core('pods')

export const container = 'main'
/** What a class needs may be fetched first, and a machine may be emulated. */
const startMs = 300_000
const endMs = 120_000

export async function makeNamespace(client: Client): Promise<string> {
  const metadata = { generateName: 'tandem-compare-' }
  const made = await client.create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata })
  return made.metadata.name
}

/** It can hold Pods when it has its service account. */
export async function namespaceReady(client: Client, name: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await client.get(core('serviceaccounts'), 'default', name)
      return
    } catch (error) {
      if (!isApiError(error, 'NotFound')) throw error
    }
    await sleep(20, undefined, { signal })
  }
}

/** With all that is in it. @throws CommandError when it stays */
export async function removeNamespace(client: Client, name: string): Promise<void> {
  const end = Date.now() + endMs
  try {
    await client.delete(namespaces, name)
    while (Date.now() < end) {
      await client.get(namespaces, name)
      await sleep(100)
    }
  } catch (error) {
    if (isApiError(error, 'NotFound')) return
    throw error
  }
  throw new CommandError(`namespace ${name} does not go away: look at 'kubectl get pods -n ${name}'`)
}

export interface Wanted {
  namespace: string
  name: string
  image: string
  runtimeClassName: string
  /** Its own command otherwise. */
  shell: boolean
}

export const podOf = ({ namespace, name, image, runtimeClassName, shell }: Wanted) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: {
    runtimeClassName,
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 0,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    containers: [
      {
        name: container,
        image,
        imagePullPolicy: 'Never',
        ...(shell && { command: idle }),
        volumeMounts: [{ name: 'scratch', mountPath: scratch }],
      },
    ],
    volumes: [{ name: 'scratch', emptyDir: {} }],
  },
})

/** A container that does not come to run: what its Pod says of it. */
export class StartProblem extends Error {}

/** Why it will not run any more; undefined for one that may or does. */
export function problemOf({ status }: StoredObject): string | undefined {
  const { state } = status?.containerStatuses?.[0] ?? {}
  const waits = state?.waiting
  if (waits && !['ContainerCreating', 'PodInitializing'].includes(waits.reason))
    return `${waits.reason}: ${waits.message ?? ''}`.trim()
  const over = state?.terminated
  if (over) return over.message || `it ended at once (${over.reason ?? 'exit'}, code ${over.exitCode})`
  return status?.phase === 'Failed' ? `${status.reason ?? 'Failed'}: ${status.message ?? ''}` : undefined
}

/** @returns the Pod and the milliseconds from its creation to Running. @throws StartProblem */
export async function startPod(client: Client, wanted: Wanted, signal: AbortSignal) {
  const started = performance.now()
  await client.create(pods, podOf(wanted))
  const late = AbortSignal.timeout(startMs)
  const fieldSelector = `metadata.name=${wanted.name}`
  const events = client.watch(pods, {
    namespace: wanted.namespace,
    fieldSelector,
    signal: AbortSignal.any([signal, late]),
  })
  let last = ''
  for await (const { object } of events) {
    if (object.status?.phase === 'Running') return { pod: object, started, runningMs: performance.now() - started }
    const problem = problemOf(object)
    if (problem) throw new StartProblem(problem)
    last = object.status?.containerStatuses?.[0]?.state?.waiting?.reason ?? object.status?.phase ?? ''
  }
  signal.throwIfAborted()
  throw new StartProblem(`it does not run within ${startMs / 1000} s (${last})`)
}

export async function removePod(client: Client, namespace: string, name: string, signal: AbortSignal): Promise<void> {
  await client.delete(pods, name, namespace, { gracePeriodSeconds: 0 })
  for (const end = Date.now() + endMs; Date.now() < end; await sleep(20, undefined, { signal })) {
    const { items } = await client.list(pods, { namespace, fieldSelector: `metadata.name=${name}` })
    if (items.length === 0) return
  }
  throw new StartProblem(`Pod ${name} does not go away`)
}
