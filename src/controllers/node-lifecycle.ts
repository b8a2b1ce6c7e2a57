// A node that is not heard of any more: its conditions become Unknown and taints say so; a node that is back is cleared.
// Times, reasons and taints of pkg/controller/nodelifecycle (1.32), as far as one node needs them.

import type { StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type Condition, findCondition } from './conditions.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { leases, nodes } from './resources.ts'

const graceMs = 50_000
const leaseNamespace = 'kube-node-lease'
const reported = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure']

interface Taint {
  key: string
  value?: string
  effect: string
  timeAdded?: string
}

const notReady = 'node.kubernetes.io/not-ready'
const unreachable = 'node.kubernetes.io/unreachable'
const unschedulable = 'node.kubernetes.io/unschedulable'
const ours = new Set([
  notReady,
  unreachable,
  unschedulable,
  'node.kubernetes.io/disk-pressure',
  'node.kubernetes.io/memory-pressure',
  'node.kubernetes.io/pid-pressure',
])

/** The conditions of a node that has stopped to report; undefined when they say so already. Pure. */
export function unknownConditions(node: StoredObject, now: number): Condition[] | undefined {
  const conditions: Condition[] = node.status?.conditions ?? []
  if (reported.every((type) => findCondition(conditions, type)?.status === 'Unknown')) return undefined
  const time = formatTime(now)
  const others = conditions.filter(({ type }) => !reported.includes(type))
  return [
    ...others,
    ...reported.map((type): Condition => {
      const old = findCondition(conditions, type)
      if (old?.status === 'Unknown') return old
      return {
        ...old,
        type,
        status: 'Unknown',
        reason: old ? 'NodeStatusUnknown' : 'NodeStatusNeverUpdated',
        message: old ? 'Kubelet stopped posting node status.' : 'Kubelet never posted node status.',
        lastTransitionTime: time,
      }
    }),
  ]
}

/** The taints that the node's conditions and its cordon ask for, beside those that others have set. Pure. */
export function taintsOf(node: StoredObject, now: number): Taint[] {
  const current: Taint[] = node.spec?.taints ?? []
  const wanted: string[] = []
  const status = (type: string) => findCondition(node.status?.conditions, type)?.status
  if (status('Ready') === 'False' || status('Ready') === undefined) wanted.push(notReady)
  if (status('Ready') === 'Unknown') wanted.push(unreachable)
  for (const kind of ['disk', 'memory', 'pid'])
    if (status({ disk: 'DiskPressure', memory: 'MemoryPressure', pid: 'PIDPressure' }[kind]!) === 'True')
      wanted.push(`node.kubernetes.io/${kind}-pressure`)
  if (node.spec?.unschedulable) wanted.push(unschedulable)
  const isOurs = (taint: Taint) => ours.has(taint.key) && taint.effect === 'NoSchedule'
  return [
    ...current.filter((taint) => !isOurs(taint)),
    ...wanted.map(
      (key) =>
        current.find((taint) => taint.key === key && isOurs(taint)) ?? {
          key,
          effect: 'NoSchedule',
          timeAdded: formatTime(now),
        },
    ),
  ]
}

export const nodeLifecycle: ControllerDefinition = {
  name: 'node-lifecycle',
  start(context) {
    const { client, informers, clock } = context
    const record = context.recorder('node-controller')
    const nodeInformer = informers.informer(nodes)
    const leaseInformer = informers.informer(leases)
    /** When we saw a sign of life for the last time, by our own clock: clocks and downtime of others do not matter. */
    const seen = new Map<string, { sign: string; at: number }>()

    function lastSeen(node: StoredObject): number {
      const { name } = node.metadata
      const lease = leaseInformer.get(`${leaseNamespace}/${name}`)
      const heartbeat = findCondition(node.status?.conditions, 'Ready')?.lastHeartbeatTime ?? ''
      const sign = `${lease?.spec?.renewTime ?? ''} ${heartbeat}`
      const before = seen.get(name)
      if (before?.sign === sign) return before.at
      seen.set(name, { sign, at: clock.now() })
      return clock.now()
    }

    async function sync(key: string): Promise<ReconcileResult | undefined> {
      let node = nodeInformer.get(key)
      if (!node) {
        seen.delete(key)
        return undefined
      }
      const left = lastSeen(node) + graceMs - clock.now()
      const conditions = left > 0 ? undefined : unknownConditions(node, clock.now())
      if (conditions) {
        node = await client.updateStatus(nodes, { ...node, status: { ...node.status, conditions } })
        record(node, 'Normal', 'NodeNotReady', `Node ${key} status is now: NodeNotReady`)
      }
      const taints = taintsOf(node, clock.now())
      if (!semanticallyEqual(taints, node.spec?.taints))
        await client.update(nodes, { ...node, spec: { ...node.spec, taints } })
      return { requeueAfter: left > 0 ? left : graceMs }
    }

    return reconcileOn(
      context,
      'node-lifecycle',
      [
        { ref: nodes, keys: itself },
        { ref: leases, keys: ({ metadata }) => (metadata.namespace === leaseNamespace ? [metadata.name] : []) },
      ],
      sync,
      1,
    )
  },
}
