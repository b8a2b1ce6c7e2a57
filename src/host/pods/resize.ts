// In-place resize: what the node grants of the resources that a Pod asks for, and what that means for its containers.
// Pure. Rules, reasons and texts mirrored from the kubelet (pkg/kubelet/allocation and kuberuntime, 1.36).

import { quantityMilli, quantityValue } from '../../api/quantity.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { aggregateRequests } from '../../kinds/core/resource-rules.ts'
import { type Container, initContainers, milliUnits, type PodObject, type Resources } from './pod.ts'
import type { ContainerRecord } from './records.ts'
import type { PodView } from './view.ts'

/** Cpu in thousandths and memory in bytes. */
export interface Room {
  cpu: number
  memory: number
}

/** Name under which the resources of the Pod as a whole are granted. */
export const wholePod = ''

const resizable = (pod: PodObject): Container[] => [...initContainers(pod), ...pod.spec.containers]

/** What stands in the spec of everything that can be resized. */
export function asked(pod: PodObject): Map<string, Resources> {
  const found = new Map<string, Resources>()
  if (pod.spec.resources) found.set(wholePod, pod.spec.resources)
  for (const container of resizable(pod)) found.set(container.name, (container.resources ?? {}) as Resources)
  return found
}

/** What a former Tandem had granted, as the API remembers it. */
export function grantedBefore(pod: PodObject): Map<string, Resources> {
  const found = asked(pod)
  const { containerStatuses, initContainerStatuses } = pod.status ?? {}
  for (const status of [...(containerStatuses ?? []), ...(initContainerStatuses ?? [])]) {
    const { allocatedResources, resources, containerID } = status as {
      allocatedResources?: Record<string, string>
      resources?: Resources
      containerID?: string
    }
    if (containerID && resources && found.has(status.name))
      found.set(status.name, { ...resources, ...(allocatedResources && { requests: allocatedResources }) })
  }
  return found
}

export const sameResources = (a: Resources | undefined, b: Resources | undefined): boolean =>
  equalJson(
    { requests: a?.requests ?? {}, limits: a?.limits ?? {} },
    { requests: b?.requests ?? {}, limits: b?.limits ?? {} },
  )

/** Of the Pod as a whole, or of its containers together: init containers come one after the other. */
export function requestsOf({ spec }: PodObject, granted: Map<string, Resources>): Room {
  const whole = granted.get(wholePod)
  const given = (list: Container[] = []) => list.map((one) => ({ ...one, resources: granted.get(one.name) }))
  const total = aggregateRequests(
    whole
      ? { containers: [{ resources: whole }] }
      : { containers: given(spec.containers), initContainers: given(spec.initContainers) },
  )
  const [cpu, memory] = [total.get('cpu'), total.get('memory')]
  return { cpu: cpu ? Number(quantityMilli(cpu)) : 0, memory: memory ? Number(quantityValue(memory)) : 0 }
}

/**
 * Grants what is asked for if it fits into the node.
 * @param room what the node has beside all other Pods; asked only when it matters, for it costs a look at all of them
 */
export function settle(view: PodView, node: Room, room: () => Room): void {
  const wanted = asked(view.pod)
  const changed = [...wanted].some(([name, resources]) => !sameResources(resources, view.granted.get(name)))
  if (!changed) {
    delete view.resize.pending
    return
  }
  const [now, then] = [requestsOf(view.pod, view.granted), requestsOf(view.pod, wanted)]
  const free = room()
  for (const name of ['cpu', 'memory'] as const) {
    if (then[name] <= now[name]) continue
    if (then[name] > node[name]) {
      const amounts = `${name}, requested: ${then[name]}, capacity: ${node[name]}`
      view.resize.pending = { reason: 'Infeasible', message: `Node didn't have enough capacity: ${amounts}` }
      return
    }
    if (then[name] > free[name]) {
      view.resize.pending = { reason: 'Deferred', message: `Node didn't have enough resource: ${name}` }
      return
    }
  }
  view.granted = wanted
  delete view.resize.pending
  if (isWholeOpen(view) || resizable(view.pod).some((container) => isOpen(view, container.name)))
    view.resize.inProgress = {}
}

/** The group of the Pod as a whole has other limits than granted. */
export function isWholeOpen(view: PodView): boolean {
  const whole = view.granted.get(wholePod)
  return Boolean(whole && view.sandbox?.ready && !sameResources(whole, view.wholeApplied))
}

/** A group must never allow less than one inside of it does: it grows before them, and shrinks after them. */
export function wholeGoesFirst(view: PodView): boolean {
  const limit = (resources: Resources | undefined) =>
    resources?.limits?.cpu === undefined ? Number.POSITIVE_INFINITY : milliUnits(resources.limits.cpu)
  return limit(view.granted.get(wholePod)) >= limit(view.wholeApplied) || openResizes(view).length === 0
}

/** The Pod with what is granted to it as a whole, which may not be what it asks for yet. */
export function withWhole({ pod, granted }: PodView): PodObject {
  const whole = granted.get(wholePod)
  return whole && whole !== pod.spec.resources ? { ...pod, spec: { ...pod.spec, resources: whole } } : pod
}

/** Limits that hold for a container: its own, and where it has none those of the Pod. */
export function boundsOf(own: Resources | undefined, whole: Resources | undefined): Record<string, string> {
  const found: Record<string, string> = {}
  for (const name of ['cpu', 'memory']) {
    const limit = own?.limits?.[name] ?? whole?.limits?.[name]
    if (limit !== undefined) found[name] = limit
  }
  return found
}

/** The container runs with other resources than granted. */
function isOpen(view: PodView, name: string): boolean {
  const record = view.containers.get(name)?.[0]
  const granted = view.granted.get(name)
  if (record?.state !== 'running' || !record.resources || !granted) return false
  const bounds = boundsOf(granted, view.granted.get(wholePod))
  return !sameResources(record.resources, granted) || !equalJson(record.bounds ?? {}, bounds)
}

export interface ResizeStep {
  container: Container
  record: ContainerRecord
  restart: boolean
  resources: Resources
  bounds: Record<string, string>
}

/** Running containers that have to change, and how. */
export function openResizes(view: PodView): ResizeStep[] {
  return resizable(view.pod).flatMap((container) => {
    if (!isOpen(view, container.name)) return []
    const record = view.containers.get(container.name)![0]!
    const resources = view.granted.get(container.name)!
    const bounds = boundsOf(resources, view.granted.get(wholePod))
    const changed = ['cpu', 'memory'].filter(
      (name) =>
        record.resources?.requests?.[name] !== resources.requests?.[name] || record.bounds?.[name] !== bounds[name],
    )
    const restart = (container.resizePolicy ?? []).some(
      ({ resourceName, restartPolicy }) => restartPolicy === 'RestartContainer' && changed.includes(resourceName),
    )
    return [{ container, record, restart, resources, bounds }]
  })
}
