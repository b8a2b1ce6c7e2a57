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
import { noWriteToExport, shownExports } from './export-pods.ts'
import { addDebugContainers, type ShownMachine } from './machine-debug.ts'
import type { Objects, Stored } from './objects.ts'
import type { Registry, Resource } from './registry.ts'
import { keyOfPod, type ShownKind, viewsBy, withShownPods } from './shown-pods.ts'
import { created as evicted, evictionOptions } from './subresources/eviction.ts'
import { type DeleteOptions, deleteOptions } from './verbs/delete.ts'
import { answer } from './verbs/get.ts'

const viewOf = viewsBy(launcherPod)

/** Whether somebody outside asks for Pods. */
export const seesMachines = ({ resource, request }: Call): boolean =>
  request.source !== undefined && resource.groupResource === 'pods'

/** The same call with the machines and exports among the Pods. */
export function withMachinePods(call: Call): Call {
  const { engine } = call
  return { ...call, engine: { ...engine, objects: createMachinePods(engine.objects, engine.registry) } }
}

const made = new WeakMap<Objects, Objects>()

function createMachinePods(objects: Objects, registry: Registry): Objects {
  const known = made.get(objects)
  if (known) return known
  const instances = registry.preferred('kubevirt.io', 'virtualmachineinstances')
  const behind: ShownKind['behind'] = (from, namespace, name) => instanceBehind(from, instances!, namespace, name)
  const machines: ShownKind[] = instances ? [{ resource: instances, viewOf, behind }] : []
  const all = withShownPods(objects, [...machines, ...shownExports(registry)])
  made.set(objects, all)
  return all
}

/** The instance that a Pod of this name shows. */
function instanceBehind(objects: Objects, instances: Resource, namespace: string, podName: string): Stored | undefined {
  const name = instanceNameOf(podName)
  const instance = name ? objects.get(instances, namespace, name) : undefined
  return instance && viewOf(instance.object)?.object.metadata.name === podName ? instance : undefined
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
  if (!machine) return noWriteToExport(call)
  if (info.verb === 'delete' && !info.subresource) return deleteMachinePod(call, machine, deleteOptions(call))
  if (info.verb === 'create' && info.subresource === 'eviction') return evictMachine(call, machine)
  if (info.subresource === 'ephemeralcontainers') return debugMachine(call, machine)
  throw noWriteThrough(machine)
}

/** kubectl debug: a container in the machine's network. */
async function debugMachine(call: Call, machine: ShownMachine): Promise<ApiResponse> {
  if (machine.pod.status?.phase !== 'Running') throw notRunning(machine)
  const instance = await addDebugContainers(call, machine)
  return answer(call, 200, shown(call, viewOf(instance)?.object ?? machine.pod))
}

const shown = (call: Call, pod: StoredObject): Stored => ({
  key: keyOfPod(call.resource, pod),
  revision: Number(pod.metadata.resourceVersion),
  object: pod,
  json: JSON.stringify(pod),
})

/** A machine that may only leave its node alive has none to go to (virt-api's pod-eviction-admitter, 1.9). */
async function evictMachine(call: Call, machine: ShownMachine): Promise<ApiResponse> {
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
function machinePodOf({ engine, info }: Call): ShownMachine | undefined {
  if (!instanceNameOf(info.name)) return undefined
  const { objects, registry } = engine
  const instances = registry.preferred('kubevirt.io', 'virtualmachineinstances')
  if (!instances) return undefined
  const instance = instanceBehind(objects, instances, info.namespace, info.name)
  const pod = instance && viewOf(instance.object)?.object
  return pod && { pod, instance, instances }
}

/** The guest is shut down; what follows is for the run strategy of its machine, as when KubeVirt's launcher goes. */
async function deleteMachinePod(call: Call, machine: ShownMachine, options: DeleteOptions): Promise<ApiResponse> {
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

const noWriteThrough = ({ pod, instance }: ShownMachine): ApiError =>
  new ApiError(
    'Forbidden',
    `pods "${pod.metadata.name}" is forbidden: it shows the VirtualMachineInstance "${instance.object.metadata.name}" and has nothing of its own to change; change its VirtualMachine`,
  )

/** A container beside it shares the network, which is there with the guest. */
const notRunning = ({ pod, instance }: ShownMachine): ApiError =>
  new ApiError(
    'Conflict',
    `pods "${pod.metadata.name}": no container can be beside the guest of the VirtualMachineInstance "${instance.object.metadata.name}" while it does not run`,
  )
