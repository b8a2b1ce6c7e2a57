// Virtual machine instances among the Pods, for whoever asks over the network: each is shown as the Pod in which KubeVirt
// would run it. The view is made while reading, from the instance and at its revision; nothing of it is stored, and the
// parts of this process never see it, so that nobody counts a machine twice.

import { ApiError, conflict } from '../api/errors.ts'
import type { ApiResponse } from '../api/exchange.ts'
import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { shutdownAnnotation } from '../kinds/kubevirt/instance-marks.ts'
import { instanceNameOf, launcherPod } from '../kinds/kubevirt/launcher-pod.ts'
import type { Call } from './call.ts'
import type { Change, Objects, Stored } from './objects.ts'
import type { Registry, Resource } from './registry.ts'
import { created as evicted, evictionOptions } from './subresources/eviction.ts'
import { type DeleteOptions, deleteOptions } from './verbs/delete.ts'
import { answer } from './verbs/get.ts'

type View = Pick<Stored, 'object' | 'json'>

/** Undefined where the instance has no Pod. Made once for each state of an instance. */
const views = new WeakMap<StoredObject, View | null>()

function viewOf(instance: StoredObject): View | undefined {
  let view = views.get(instance)
  if (view === undefined) {
    const object = launcherPod(instance)
    view = object ? { object, json: JSON.stringify(object) } : null
    views.set(instance, view)
  }
  return view ?? undefined
}

const isPods = (resource: Resource): boolean => resource.groupResource === 'pods'

const keyOf = (pods: Resource, { metadata }: StoredObject): string =>
  `${pods.prefix}${metadata.namespace}/${metadata.name}`

/** Whether somebody outside asks for Pods. */
export const seesMachines = ({ resource, request }: Call): boolean => request.source !== undefined && isPods(resource)

/** The same call with the machines among the Pods. */
export function withMachinePods(call: Call): Call {
  const { engine } = call
  return { ...call, engine: { ...engine, objects: createMachinePods(engine.objects, engine.registry) } }
}

const made = new WeakMap<Objects, Objects>()

function createMachinePods(objects: Objects, registry: Registry): Objects {
  const known = made.get(objects)
  if (known) return known
  const instances = registry.preferred('kubevirt.io', 'virtualmachineinstances')
  const both = instances ? among(objects, instances) : objects
  made.set(objects, both)
  return both
}

function among(objects: Objects, instances: Resource): Objects {
  const stored = (pods: Resource, instance: Stored): Stored[] => {
    const view = viewOf(instance.object)
    return view ? [{ ...view, key: keyOf(pods, view.object), revision: instance.revision }] : []
  }
  const merged = (pods: Stored[], machines: Stored[], page: { after?: string; limit?: number } = {}): Stored[] => {
    const { after, limit } = page
    const later = after === undefined ? machines : machines.filter(({ key }) => key > after)
    if (later.length === 0) return pods
    const all = [...pods, ...later].sort((a, b) => (a.key < b.key ? -1 : 1))
    return limit === undefined ? all : all.slice(0, limit)
  }
  return {
    ...objects,
    get(resource, namespace, name) {
      const found = objects.get(resource, namespace, name)
      if (found || !isPods(resource)) return found
      return machinePod(objects, instances, resource, namespace, name)
    },
    list(resource, namespace, page) {
      const pods = objects.list(resource, namespace, page)
      if (!isPods(resource) || objects.count(instances, namespace) === 0) return pods
      const machines = objects.list(instances, namespace).flatMap((instance) => stored(resource, instance))
      return merged(pods, machines, page)
    },
    async listAt(resource, namespace, revision, page) {
      const pods = await objects.listAt(resource, namespace, revision, page)
      if (!isPods(resource)) return pods
      const machines = await objects.listAt(instances, namespace, revision)
      return merged(
        pods,
        machines.flatMap((instance) => stored(resource, instance)),
        page,
      )
    },
    count: (resource, namespace) =>
      objects.count(resource, namespace) + (isPods(resource) ? objects.count(instances, namespace) : 0),
    watch(resource, namespace, after, listener, failed) {
      if (!isPods(resource)) return objects.watch(resource, namespace, after, listener, failed)
      const inOrder = together(listener)
      const pods = objects.watch(resource, namespace, after, inOrder, failed)
      try {
        const machines = objects.watch(
          instances,
          namespace,
          after,
          (changes) => inOrder(changes.flatMap((change) => changeOf(change) ?? [])),
          failed,
        )
        return {
          close() {
            pods.close()
            machines.close()
          },
        }
      } catch (error) {
        pods.close()
        throw error
      }
    },
  }
}

/** What comes from two watches in one moment is told in the order of its revisions. */
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

/** A change of an instance as the change of its Pod; undefined when it has none before and after. */
function changeOf({ type, revision, object, previous }: Change): Change | undefined {
  const before = previous && viewOf(previous)
  const now = type === 'put' ? viewOf(object) : undefined
  if (now) return { type: 'put', revision, ...now, previous: before?.object }
  if (!before) return undefined
  const metadata = { ...before.object.metadata, resourceVersion: String(revision) }
  const last = { ...before.object, metadata }
  return { type: 'delete', revision, object: last, json: JSON.stringify(last), previous: before.object }
}

/** The instance that a Pod of this name shows. */
function instanceBehind(objects: Objects, instances: Resource, namespace: string, podName: string): Stored | undefined {
  const name = instanceNameOf(podName)
  const instance = name ? objects.get(instances, namespace, name) : undefined
  return instance && viewOf(instance.object)?.object.metadata.name === podName ? instance : undefined
}

function machinePod(objects: Objects, instances: Resource, pods: Resource, namespace: string, name: string) {
  const instance = instanceBehind(objects, instances, namespace, name)
  const view = instance && viewOf(instance.object)
  return view && { ...view, key: keyOf(pods, view.object), revision: instance.revision }
}

export interface MachineOfPod {
  instance: StoredObject
  pod: StoredObject
}

/** By the name of its Pod, or by its own. */
export function findInstance(
  objects: Objects,
  registry: Registry,
  namespace: string,
  name: string,
): MachineOfPod | undefined {
  const instances = registry.preferred('kubevirt.io', 'virtualmachineinstances')
  if (!instances) return undefined
  const found = instanceBehind(objects, instances, namespace, name) ?? objects.get(instances, namespace, name)
  const view = found && viewOf(found.object)
  return view && { instance: found.object, pod: view.object }
}

interface MachinePod {
  pod: StoredObject
  instance: Stored
  instances: Resource
}

const single = new Set(['get', 'create', 'update', 'patch', 'delete'])

/**
 * A single Pod that only shows a machine; undefined where the call is about anything else. A GET finds it by the machine's
 * name, too: what a person types behind `kubectl exec`, which looks for the Pod before it opens a stream to it.
 */
export function serveMachinePod(call: Call): Promise<ApiResponse> | ApiResponse | undefined {
  const { info, engine, resource } = call
  // A list or watch of one name names it, too.
  if (!info.name || !single.has(info.verb) || engine.objects.get(resource, info.namespace, info.name)) return undefined
  if (info.verb === 'get') {
    const found = findInstance(engine.objects, engine.registry, info.namespace, info.name)
    return found && answer(call, 200, shown(call, found.pod))
  }
  const machine = machinePodOf(call)
  if (!machine) return undefined
  if (info.verb === 'delete' && !info.subresource) return deleteMachinePod(call, machine, deleteOptions(call))
  if (info.verb === 'create' && info.subresource === 'eviction') return evictMachine(call, machine)
  throw info.subresource === 'ephemeralcontainers' ? noContainers(machine) : noWriteThrough(machine)
}

const shown = (call: Call, pod: StoredObject): Stored => ({
  key: keyOf(call.resource, pod),
  revision: Number(pod.metadata.resourceVersion),
  object: pod,
  json: JSON.stringify(pod),
})

/** A machine that may only leave its node alive has none to go to (virt-api's pod-eviction-admitter, 1.9). */
async function evictMachine(call: Call, machine: MachinePod): Promise<ApiResponse> {
  const { metadata, spec } = machine.instance.object
  if (spec.evictionStrategy === 'LiveMigrate' || spec.evictionStrategy === 'External')
    throw new ApiError(
      'TooManyRequests',
      `VMI ${metadata.name} is configured with an eviction strategy but is not live-migratable`,
    )
  await deleteMachinePod(call, machine, evictionOptions(call))
  return evicted
}

/** The machine whose Pod a write is about; undefined for a real Pod, and for none. */
function machinePodOf({ engine, info }: Call): MachinePod | undefined {
  if (!instanceNameOf(info.name)) return undefined
  const { objects, registry } = engine
  const instances = registry.preferred('kubevirt.io', 'virtualmachineinstances')
  if (!instances) return undefined
  const instance = instanceBehind(objects, instances, info.namespace, info.name)
  const pod = instance && viewOf(instance.object)?.object
  return pod && { pod, instance, instances }
}

/** The guest is shut down; what follows is for the run strategy of its machine, as when KubeVirt's launcher goes. */
async function deleteMachinePod(call: Call, machine: MachinePod, options: DeleteOptions): Promise<ApiResponse> {
  const { objects, now } = call.engine
  const { instances } = machine
  const { namespace, name } = machine.instance.object.metadata
  const key = objects.key(instances, namespace!, name)
  const stored = await objects.exclusively(key, async () => {
    const current = objects.get(instances, namespace!, name)
    const view = current && viewOf(current.object)
    if (!current || !view || view.object.metadata.name !== call.info.name) return undefined
    checkPreconditions(view.object, options)
    const grace = options.gracePeriodSeconds ?? view.object.spec.terminationGracePeriodSeconds
    const by = formatTime(now() + Math.max(grace, 0) * 1000)
    const said = current.object.metadata.annotations?.[shutdownAnnotation]
    if (options.dryRun || current.object.metadata.deletionTimestamp || (said && said <= by)) return view.object
    const { metadata } = current.object
    const annotations = { ...metadata.annotations, [shutdownAnnotation]: by }
    const next = await objects.replace(instances, current, {
      ...current.object,
      metadata: { ...metadata, annotations },
    })
    // A machine that was over has no Pod any more.
    return (viewOf(next.object) ?? view).object
  })
  return answer(call, 200, shown(call, stored ?? machine.pod))
}

function checkPreconditions({ metadata }: StoredObject, { preconditions = {} }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions
  if (uid && uid !== metadata.uid)
    throw conflict(
      'pods',
      metadata.name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`,
    )
  if (resourceVersion && resourceVersion !== metadata.resourceVersion)
    throw conflict(
      'pods',
      metadata.name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`,
    )
}

const noWriteThrough = ({ pod, instance }: MachinePod): ApiError =>
  new ApiError(
    'Forbidden',
    `pods "${pod.metadata.name}" is forbidden: it shows the VirtualMachineInstance "${instance.object.metadata.name}" and has nothing of its own to change; change its VirtualMachine`,
  )

/** kubectl debug asks for one. */
const noContainers = ({ pod, instance }: MachinePod): ApiError =>
  new ApiError(
    'Forbidden',
    `pods "${pod.metadata.name}" is forbidden: no container runs beside the guest of the VirtualMachineInstance "${instance.object.metadata.name}"; use kubectl exec, which runs commands in the guest, kubectl attach, or a Pod of your own on the same network (kubectl run -it --rm --image=…)`,
  )
