// The scheduler: gives a Pod its node once it fits there, makes room for a more important one, or says in a condition and
// an event why not (conditions, events and order of pkg/scheduler, 1.36).

import { isApiError } from '../api/errors.ts'
import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { equalJson } from '../api/walk/plain.ts'
import { findCondition } from './conditions.ts'
import type { ControllerContext, ControllerDefinition } from './controller.ts'
import { isFinished } from './pod-state.ts'
import {
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  podDisruptionBudgets,
  pods,
  storageClasses,
  virtualMachineInstances,
} from './resources.ts'
import { type NodeEntry, priorityOf, SchedulerBook } from './scheduler-book.ts'
import { choose, failureText, noVictimsText, whyNot } from './scheduler-choice.ts'
import { createClaimLookup, resourceClaims } from './scheduler-claims.ts'
import type { Misfit } from './scheduler-fit.ts'
import { bestVictims, type Victims, victimsOn } from './scheduler-preemption.ts'
import { SchedulerQueue } from './scheduler-queue.ts'
import type { Surroundings } from './scheduler-topology.ts'
import { selectedNode } from './volume-matching.ts'

const schedulerName = 'default-scheduler'
/** A Pod that did not fit is looked at again this often even if nothing seems to have changed. */
const retryMs = 30_000
/** Writes on their way at the same time. */
const writesAtOnce = 64

/** A Pod that waits for a node. Pure. */
export const isWaiting = (pod: StoredObject): boolean =>
  !pod.spec.nodeName &&
  !pod.metadata.deletionTimestamp &&
  !isFinished(pod) &&
  (pod.spec.schedulerName ?? schedulerName) === schedulerName

const isGated = (pod: StoredObject): boolean => Boolean(pod.spec.schedulingGates?.length)

export const scheduler: ControllerDefinition = {
  name: 'scheduler',
  start(context) {
    const running = createScheduler(context)
    return { stop: () => running.stop() }
  },
}

function createScheduler(context: ControllerContext) {
  const { client, informers, clock } = context
  const log = context.log.child('scheduler')
  const record = context.recorder(schedulerName)
  const book = new SchedulerBook()
  const queue = new SchedulerQueue(clock)
  const claims = createClaimLookup(informers)
  const namespaceInformer = informers.informer(namespaces)
  const budgets = informers.informer(podDisruptionBudgets)
  /** Pods that we have bound and whose change is still under way, by uid. */
  const assumed = new Set<string>()
  /** Pods for which others leave a node, by uid. */
  const nominated = new Map<string, { pod: StoredObject; nodeName: string }>()
  const writes = new Set<Promise<void>>()
  let stopped = false

  function follow(): void {
    informers.informer(nodes).addHandler({
      changed(node, old) {
        book.setNode(node)
        if (!old || !equalJson(whatMatters(node), whatMatters(old))) queue.release()
      },
      removed: (node) => book.removeNode(node.metadata.name),
    })
    informers.informer(pods).addHandler({ changed: podChanged, removed: podRemoved })
    informers.informer(virtualMachineInstances).addHandler({
      changed(machine) {
        if (isFinished(machine)) machineRemoved(machine)
        else book.setMachine(machine, machine.status?.nodeName ?? book.nodes()[0]?.name ?? '')
      },
      removed: machineRemoved,
    })
    const withClaims = () => queue.release((pod) => Boolean(pod.spec.volumes?.length))
    const withDevices = () => queue.release((pod) => Boolean(pod.spec.resourceClaims?.length))
    informers.informer(resourceClaims).addHandler({ changed: withDevices, removed: withDevices })
    for (const ref of [persistentVolumeClaims, persistentVolumes, storageClasses])
      informers.informer(ref).addHandler({ changed: withClaims, removed: withClaims })
  }

  function machineRemoved(machine: StoredObject): void {
    book.removeMachine(machine.metadata.uid)
    queue.release()
  }

  function podChanged(pod: StoredObject, old: StoredObject | undefined): void {
    const { uid, generation } = pod.metadata
    const key = objectKey(pod)
    if (pod.spec.nodeName) {
      assumed.delete(uid)
      nominated.delete(uid)
      queue.remove(key)
      if (isFinished(pod)) leave(uid)
      else {
        const isNew = !book.hasPod(uid)
        book.setPod(pod, pod.spec.nodeName)
        if (isNew) queue.release(({ spec }) => Boolean(spec.affinity?.podAffinity || spec.topologySpreadConstraints))
      }
      return
    }
    if (!isWaiting(pod) || isGated(pod)) {
      nominated.delete(uid)
      queue.remove(key)
      return
    }
    const { nominatedNodeName } = pod.status ?? {}
    if (nominatedNodeName) nominated.set(uid, { pod, nodeName: nominatedNodeName })
    if (assumed.has(uid)) return
    const changed =
      !old ||
      old.metadata.generation !== generation ||
      !equalJson(old.metadata.labels, pod.metadata.labels) ||
      !equalJson(old.status?.resourceClaimStatuses, pod.status?.resourceClaimStatuses)
    if (changed || !queue.refresh(key, pod)) queue.add(key, pod)
  }

  function podRemoved(pod: StoredObject): void {
    const { uid } = pod.metadata
    assumed.delete(uid)
    nominated.delete(uid)
    queue.remove(objectKey(pod))
    leave(uid)
  }

  function leave(uid: string): void {
    if (!book.hasPod(uid)) return
    book.removePod(uid)
    queue.release()
  }

  function surroundings(pod: StoredObject): Surroundings {
    const others = [...nominated.values()].filter(
      (one) => one.pod.metadata.uid !== pod.metadata.uid && priorityOf(one.pod) >= priorityOf(pod),
    )
    return {
      book,
      nodes: book.nodes(),
      without: new Set(),
      nominated: others,
      namespaceLabels: (name) => namespaceInformer.get(name)?.metadata.labels,
    }
  }

  function decide(key: string, pod: StoredObject, attempts: number): void {
    const around = surroundings(pod)
    const park = () => queue.park(key, pod, attempts)
    const found = claims.of(pod, (uid) => book.hasPod(uid))
    if (found.refused) {
      const all = around.nodes.length
      const rest = `0/${all} nodes are available: ${all} Preemption is not helpful for scheduling.`
      park()
      write(() => refuse(pod, `0/${all} nodes are available: ${found.refused}. preemption: ${rest}`))
      return
    }
    const misfits = around.nodes.map((entry): Misfit[] => {
      const problems = whyNot(pod, entry, around)
      if (problems.length || found.reachableFrom(entry.node!)) return problems
      return [{ reason: 'node(s) had volume node affinity conflict', helped: false }]
    })
    const fitting = around.nodes.filter((_, index) => misfits[index]!.length === 0)
    const best = choose(pod, fitting, around)
    if (!best) {
      park()
      makeRoom(pod, around, misfits)
    } else if (found.waiting.length) {
      // The claims' change brings the Pod back.
      park()
      write(() => tellClaims(claims.untold(found.waiting), best.name))
    } else {
      assumed.add(pod.metadata.uid)
      book.setPod(pod, best.name)
      write(() => bind(key, pod, best.name))
    }
  }

  function makeRoom(pod: StoredObject, around: Surroundings, misfits: Misfit[][]): void {
    const { uid } = pod.metadata
    const { victims, text, waits } = findVictims(pod, around, misfits)
    if (victims) nominated.set(uid, { pod, nodeName: victims.entry.name })
    // While those leave for whom it waits, nobody less important takes the place.
    else if (!waits) nominated.delete(uid)
    write(async () => {
      await refuse(pod, failureText(misfits, text), victims?.entry.name)
      await Promise.all((victims?.pods ?? []).map((victim) => evict(victim, pod, victims!.entry)))
    })
  }

  function findVictims(
    pod: StoredObject,
    around: Surroundings,
    misfits: Misfit[][],
  ): { victims?: Victims; text: string; waits?: boolean } {
    if (pod.spec.preemptionPolicy === 'Never') return { text: 'not eligible due to preemptionPolicy=Never.' }
    const promised = around.book.at(nominated.get(pod.metadata.uid)?.nodeName ?? '')
    const leaving = [...(promised?.pods.values() ?? [])].some(
      (one) => one.pod.metadata.deletionTimestamp && priorityOf(one.pod) < priorityOf(pod),
    )
    if (leaving) return { text: 'not eligible due to a terminating pod on the nominated node.', waits: true }
    const helpful = around.nodes.filter((_, index) => misfits[index]!.every(({ helped }) => helped))
    const protectedBy = budgets.list()
    const victims = bestVictims(helpful.flatMap((entry) => victimsOn(pod, entry, around, protectedBy) ?? []))
    return { ...(victims && { victims }), text: noVictimsText(misfits) }
  }

  async function evict(victim: StoredObject, pod: StoredObject, { name: nodeName }: NodeEntry): Promise<void> {
    const { name, namespace, uid } = victim.metadata
    if (!victim.metadata.deletionTimestamp) {
      const condition = {
        type: 'DisruptionTarget',
        status: 'True',
        reason: 'PreemptionByScheduler',
        message: `${schedulerName}: preempting to accommodate a higher priority pod`,
        lastProbeTime: null,
        lastTransitionTime: formatTime(clock.now()),
        ...(victim.metadata.generation && { observedGeneration: victim.metadata.generation }),
      }
      await patchStatus(victim, { conditions: [condition] })
      await client.delete(pods, name, namespace, { preconditions: { uid } })
      record(victim, 'Normal', 'Preempted', `Preempted by pod ${pod.metadata.uid} on node ${nodeName}`)
    }
  }

  /** Conditions have a merge key: whoever else writes the status loses nothing. */
  const patchStatus = (pod: StoredObject, status: object) =>
    client.patch(
      pods,
      pod.metadata.name,
      pod.metadata.namespace,
      'strategic',
      { metadata: { uid: pod.metadata.uid }, status },
      { subresource: 'status' },
    )

  async function refuse(pod: StoredObject, message: string, nominatedNodeName?: string): Promise<void> {
    const reason = 'Unschedulable'
    const old = findCondition(pod.status?.conditions, 'PodScheduled')
    const known = old?.status === 'False' && old.reason === reason && old.message === message
    if (!known || (nominatedNodeName && pod.status?.nominatedNodeName !== nominatedNodeName)) {
      const since = old?.status === 'False' ? old.lastTransitionTime : undefined
      const condition = {
        type: 'PodScheduled',
        status: 'False',
        reason,
        message,
        lastProbeTime: null,
        lastTransitionTime: since ?? formatTime(clock.now()),
        ...(pod.metadata.generation && { observedGeneration: pod.metadata.generation }),
      }
      await patchStatus(pod, { conditions: [condition], ...(nominatedNodeName && { nominatedNodeName }) })
    }
    record(pod, 'Warning', 'FailedScheduling', message)
  }

  async function tellClaims(untold: StoredObject[], nodeName: string): Promise<void> {
    for (const { metadata } of untold)
      await client.patch(persistentVolumeClaims, metadata.name, metadata.namespace, 'merge', {
        metadata: { annotations: { [selectedNode]: nodeName } },
      })
  }

  async function bind(key: string, pod: StoredObject, nodeName: string): Promise<void> {
    const { name, namespace, uid } = pod.metadata
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name, namespace: namespace!, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
    }
    try {
      await client.create(pods, binding, { subresource: 'binding' })
      record(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${nodeName}`)
    } catch (error) {
      if (assumed.delete(uid)) book.removePod(uid)
      // Gone, or bound already: the informer will tell.
      if (isApiError(error, 'NotFound') || isApiError(error, 'Conflict')) return
      queue.park(key, pod, 0)
      throw error
    }
  }

  function write(work: () => Promise<unknown>): void {
    const watched: Promise<void> = work()
      .catch((error) => {
        // A Pod that is gone, or was written by somebody else: its next version comes back here.
        if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict'))
          log.warn('cannot write what was decided; trying again', { error })
      })
      .then(() => void writes.delete(watched))
    writes.add(watched)
  }

  async function run(): Promise<void> {
    for (let next = await queue.next(); next; next = await queue.next()) {
      try {
        decide(next.key, next.pod, next.attempts)
      } catch (error) {
        log.error('cannot decide about a Pod', { pod: next.key, error })
        queue.park(next.key, next.pod, next.attempts)
      }
      while (writes.size >= writesAtOnce) await Promise.race(writes)
    }
  }

  function again(): void {
    timer = clock.after(retryMs, () => {
      queue.release()
      if (!stopped) again()
    })
  }

  const all = [nodes, pods, virtualMachineInstances, persistentVolumeClaims, persistentVolumes, storageClasses]
  let timer = clock.after(0, () => {})
  let work: Promise<void> = Promise.resolve()
  const synced = Promise.all([...all, namespaces, podDisruptionBudgets].map((ref) => informers.informer(ref).synced()))
  follow()
  void synced.then(() => {
    if (stopped) return
    work = run()
    again()
  })
  return {
    async stop() {
      stopped = true
      timer.cancel()
      queue.close()
      await work
      await Promise.all(writes)
    },
  }
}

/** Of a node: heartbeats do not count. */
const whatMatters = ({ metadata, spec, status }: StoredObject) => [
  metadata.labels ?? {},
  spec?.taints ?? [],
  spec?.unschedulable ?? false,
  status?.allocatable ?? {},
]
