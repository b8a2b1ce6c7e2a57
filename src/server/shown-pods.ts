// Objects that are shown among the Pods to whoever asks over the network: machines, each as the Pod in which KubeVirt would
// run it, and exports, each as the Pod that KubeVirt puts behind its Service. The view is made while reading, from the
// object and at its revision; nothing of it is stored, and the parts of this process never see it, so that nobody counts
// anything twice.

import type { StoredObject } from '../api/meta.ts'
import type { Change, Objects, Stored } from './objects.ts'
import type { Resource } from './registry.ts'

export type View = Pick<Stored, 'object' | 'json'>

/** A kind whose objects are shown as Pods. */
export interface ShownKind {
  resource: Resource
  /** Undefined where the object has no Pod. */
  viewOf(object: StoredObject): View | undefined
  /** The object that a Pod of this name shows. */
  behind(objects: Objects, namespace: string, podName: string): Stored | undefined
}

/** Each view is made once for each state of an object. */
export function viewsBy(make: (object: StoredObject) => StoredObject | undefined): ShownKind['viewOf'] {
  const views = new WeakMap<StoredObject, View | null>()
  return (object) => {
    let view = views.get(object)
    if (view === undefined) {
      const pod = make(object)
      view = pod ? { object: pod, json: JSON.stringify(pod) } : null
      views.set(object, view)
    }
    return view ?? undefined
  }
}

const isPods = (resource: Resource): boolean => resource.groupResource === 'pods'

export const keyOfPod = (pods: Resource, { metadata }: StoredObject): string =>
  `${pods.prefix}${metadata.namespace}/${metadata.name}`

/** The same objects with others among the Pods. */
export function withShownPods(objects: Objects, kinds: ShownKind[]): Objects {
  const asPod = (pods: Resource, { viewOf }: ShownKind, { object, revision }: Stored): Stored[] => {
    const view = viewOf(object)
    return view ? [{ ...view, key: keyOfPod(pods, view.object), revision }] : []
  }
  const counted = (namespace: string): number =>
    kinds.reduce((sum, { resource }) => sum + objects.count(resource, namespace), 0)
  return {
    ...objects,
    get(resource, namespace, name) {
      const found = objects.get(resource, namespace, name)
      if (found || !isPods(resource)) return found
      for (const kind of kinds) {
        const owner = kind.behind(objects, namespace, name)
        if (owner) return asPod(resource, kind, owner)[0]
      }
      return undefined
    },
    list(resource, namespace, page) {
      const pods = objects.list(resource, namespace, page)
      if (!isPods(resource) || counted(namespace) === 0) return pods
      const shown = kinds.flatMap((kind) =>
        objects.list(kind.resource, namespace).flatMap((one) => asPod(resource, kind, one)),
      )
      return merged(pods, shown, page)
    },
    async listAt(resource, namespace, revision, page) {
      const pods = await objects.listAt(resource, namespace, revision, page)
      if (!isPods(resource)) return pods
      const lists = await Promise.all(kinds.map((kind) => objects.listAt(kind.resource, namespace, revision)))
      const shown = lists.flatMap((list, index) => list.flatMap((one) => asPod(resource, kinds[index]!, one)))
      return merged(pods, shown, page)
    },
    count: (resource, namespace) => objects.count(resource, namespace) + (isPods(resource) ? counted(namespace) : 0),
    watch(resource, namespace, after, listener, failed) {
      if (!isPods(resource)) return objects.watch(resource, namespace, after, listener, failed)
      const inOrder = together(listener)
      const watches: { close(): void }[] = []
      const close = () => {
        for (const one of watches) one.close()
      }
      try {
        watches.push(objects.watch(resource, namespace, after, inOrder, failed))
        for (const { resource: owners, viewOf } of kinds) {
          const seen = (changes: Change[]) => inOrder(changes.flatMap((change) => changeOf(change, viewOf) ?? []))
          watches.push(objects.watch(owners, namespace, after, seen, failed))
        }
      } catch (error) {
        close()
        throw error
      }
      return { close }
    },
  }
}

function merged(pods: Stored[], shown: Stored[], page: { after?: string; limit?: number } = {}): Stored[] {
  const { after, limit } = page
  const later = after === undefined ? shown : shown.filter(({ key }) => key > after)
  if (later.length === 0) return pods
  const all = [...pods, ...later].sort((a, b) => (a.key < b.key ? -1 : 1))
  return limit === undefined ? all : all.slice(0, limit)
}

/** What comes from several watches in one moment is told in the order of its revisions. */
function together(listener: (changes: Change[]) => void): (changes: Change[]) => void {
  let waiting: Change[] = []
  return (changes) => {
    if (changes.length === 0) return
    if (waiting.length === 0)
      queueMicrotask(() => {
        const all = waiting.sort((a, b) => a.revision - b.revision)
        waiting = []
        listener(all)
      })
    waiting.push(...changes)
  }
}

/** A change of an object as the change of its Pod; undefined when it has none before and after. */
function changeOf({ type, revision, object, previous }: Change, viewOf: ShownKind['viewOf']): Change | undefined {
  const before = previous && viewOf(previous)
  const now = type === 'put' ? viewOf(object) : undefined
  if (now) return { type: 'put', revision, ...now, previous: before?.object }
  if (!before) return undefined
  const metadata = { ...before.object.metadata, resourceVersion: String(revision) }
  const last = { ...before.object, metadata }
  return { type: 'delete', revision, object: last, json: JSON.stringify(last), previous: before.object }
}
