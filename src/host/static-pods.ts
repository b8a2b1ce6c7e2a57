// Static Pods: each file of a directory is a Pod that this node runs by itself; the API has a mirror of it. Names, labels
// and annotations mirrored from the kubelet (pkg/kubelet/config/common.go and file.go, 1.36). Other than there, the Pod
// runs from its mirror: who deletes the mirror restarts the Pod.

import { createHash } from 'node:crypto'
import { type FSWatcher, mkdirSync, watch } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isApiError } from '../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import type { Clock, Timer } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import type { Client } from '../client/client.ts'
import type { InformerFactory } from '../client/informer.ts'

const pods: ResourceRef = { group: '', version: 'v1', resource: 'pods' }
const nodes: ResourceRef = { group: '', version: 'v1', resource: 'nodes' }

export const sourceAnnotation = 'kubernetes.io/config.source'
export const hashAnnotation = 'kubernetes.io/config.hash'
export const mirrorAnnotation = 'kubernetes.io/config.mirror'

/** kubelet fileCheckFrequency */
const lookMs = 20_000
/** Editors write in several steps. */
const settleMs = 200

export interface StaticPodsOptions {
  directory: string
  nodeName: string
  client: Client
  informers: InformerFactory
  clock: Clock
  log: Logger
}

export interface StaticPods {
  start(): void
  stop(): void
}

/** The mirror of what a file says. Pure. @throws Error that says what is wrong with it */
export function mirrorOf(manifest: unknown, node: { name: string; uid: string }): ApiObject {
  const pod = manifest as Partial<ApiObject> | null
  if (typeof pod !== 'object' || pod === null || pod.kind !== 'Pod' || pod.apiVersion !== 'v1')
    throw new Error('it is not a v1 Pod')
  if (!pod.metadata?.name) throw new Error('the Pod has no name')
  const hash = createHash('sha256')
    .update(JSON.stringify([pod, node.name]))
    .digest('hex')
    .slice(0, 32)
  const { status: _status, ...rest } = pod
  const { name, namespace = 'default', labels, annotations } = pod.metadata
  return {
    ...(rest as ApiObject),
    metadata: {
      name: `${name}-${node.name}`.toLowerCase(),
      namespace,
      ...(labels && { labels }),
      annotations: {
        ...annotations,
        [sourceAnnotation]: 'file',
        [hashAnnotation]: hash,
        [mirrorAnnotation]: hash,
      },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node.name, uid: node.uid, controller: true }],
    },
    spec: {
      ...pod.spec,
      nodeName: node.name,
      // A sick node keeps them.
      tolerations: [...(pod.spec?.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }],
    },
  }
}

/** What to do so that the API has these mirrors and no others. Pure. */
export function mirrorSteps(
  wanted: ApiObject[],
  present: StoredObject[],
): { create: ApiObject[]; remove: StoredObject[] } {
  const keyOf = ({ metadata }: ApiObject) => `${metadata.namespace}/${metadata.name}`
  const hashOf = ({ metadata }: ApiObject) => metadata.annotations?.[mirrorAnnotation]
  const byKey = new Map(wanted.map((pod) => [keyOf(pod), pod]))
  const there = new Set(present.map(keyOf))
  return {
    create: [...byKey].flatMap(([key, pod]) => (there.has(key) ? [] : [pod])),
    remove: present.filter((pod) => {
      const want = byKey.get(keyOf(pod))
      return !pod.metadata.deletionTimestamp && (!want || hashOf(want) !== hashOf(pod))
    }),
  }
}

export function createStaticPods({
  directory,
  nodeName,
  client,
  informers,
  clock,
  log,
}: StaticPodsOptions): StaticPods {
  const informer = informers.informer(pods)
  let watcher: FSWatcher | undefined
  let timer: Timer | undefined
  let stopped = false
  let running: Promise<void> = Promise.resolve()

  const mirrors = () =>
    informer
      .list()
      .filter(({ metadata, spec }) => metadata.annotations?.[sourceAnnotation] === 'file' && spec.nodeName === nodeName)

  async function manifests(): Promise<ApiObject[]> {
    const names = (await readdir(directory)).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name)).sort()
    if (names.length === 0) return []
    const { uid } = (await client.get(nodes, nodeName)).metadata
    // Loaded when there is something to read.
    const { parse } = await import('yaml')
    const found: ApiObject[] = []
    for (const name of names) {
      try {
        found.push(mirrorOf(parse(await readFile(join(directory, name), 'utf8')), { name: nodeName, uid }))
      } catch (error) {
        log.warn('a static Pod cannot be read', { file: join(directory, name), error })
      }
    }
    return found
  }

  async function sync(): Promise<void> {
    const { create, remove } = mirrorSteps(await manifests(), mirrors())
    for (const { metadata } of remove)
      await client
        .delete(pods, metadata.name, metadata.namespace, { preconditions: { uid: metadata.uid } })
        .catch((error) => {
          if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
        })
    for (const pod of create)
      await client.create(pods, pod).catch((error) => {
        if (!isApiError(error, 'AlreadyExists')) log.warn('a static Pod is refused', { pod: pod.metadata.name, error })
      })
  }

  function soon(ms: number): void {
    if (stopped) return
    timer?.cancel()
    timer = clock.after(ms, () => {
      running = running
        .then(sync)
        .catch((error) => log.warn('cannot look after static Pods', { error }))
        .then(() => soon(lookMs))
    })
  }

  return {
    start() {
      mkdirSync(directory, { recursive: true, mode: 0o755 })
      watcher = watch(directory, { persistent: false }, () => soon(settleMs))
      watcher.on('error', () => {})
      // A mirror that somebody removed comes back.
      informer.addHandler({
        changed() {},
        removed: ({ metadata }) => {
          if (metadata.annotations?.[sourceAnnotation] === 'file') soon(settleMs)
        },
      })
      void informer.synced().then(() => soon(0))
    },
    stop() {
      stopped = true
      watcher?.close()
      timer?.cancel()
    },
  }
}
