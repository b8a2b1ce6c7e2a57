// Services of type LoadBalancer are reached at the address of this machine: the status says so, and the packet rules
// follow the status. Those with a class of their own are left to whoever implements the class.

import type { StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { services } from './resources.ts'

/** Of the Services that want one port of the machine, the oldest gets it. */
const byAge = (a: StoredObject, b: StoredObject): number =>
  `${a.metadata.creationTimestamp} ${a.metadata.uid}` < `${b.metadata.creationTimestamp} ${b.metadata.uid}` ? -1 : 1

/** As the service controller of cloud providers has it (k8s.io/cloud-provider/service/helpers). */
const cleanup = 'service.kubernetes.io/load-balancer-cleanup'

export const isBalanced = ({ spec }: StoredObject): boolean => spec?.type === 'LoadBalancer' && !spec.loadBalancerClass

const portsOf = ({ spec }: StoredObject): string[] =>
  (spec?.ports ?? []).map(({ port, protocol = 'TCP' }: { port: number; protocol?: string }) => `${protocol}/${port}`)

/** 'TCP/443' → who has it, among the Services that were there before this one. */
export function conflictOf(
  service: StoredObject,
  others: StoredObject[],
): { port: string; holder: string } | undefined {
  const wanted = portsOf(service)
  for (const other of others.toSorted(byAge)) {
    if (other.metadata.uid === service.metadata.uid || !isBalanced(other) || byAge(service, other) < 0) continue
    const port = portsOf(other).find((each) => wanted.includes(each))
    if (port) return { port, holder: `${other.metadata.namespace}/${other.metadata.name}` }
  }
  return undefined
}

export const serviceLoadBalancer: ControllerDefinition = {
  name: 'service-lb',
  start(context) {
    const { client, informers, settings } = context
    const record = context.recorder('service-controller')
    const known = informers.informer(services)
    const { address } = settings.services

    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const seen = known.get(key)
      if (!seen || !address) return undefined
      const isServed = isBalanced(seen) && !seen.metadata.deletionTimestamp
      const service = await withFinalizer(seen, isServed)
      if (!isServed) return undefined
      const conflict = conflictOf(service, known.list())
      if (conflict)
        record(
          service,
          'Warning',
          'SyncLoadBalancerFailed',
          `port ${conflict.port} of this machine (${address}) is used by the Service ${conflict.holder}: choose another port`,
        )
      const ingress = conflict ? [] : [{ ip: address, ipMode: 'VIP' }]
      if (semanticallyEqual(service.status?.loadBalancer?.ingress, ingress)) return undefined
      const status = { ...service.status, loadBalancer: { ingress } }
      await client.update(services, { ...service, status }, { subresource: 'status' })
      return undefined
    }

    /** Says that the address is held, until the Service is no load balancer any more. */
    async function withFinalizer(service: StoredObject, wanted: boolean): Promise<StoredObject> {
      const finalizers = service.metadata.finalizers ?? []
      if (finalizers.includes(cleanup) === wanted) return service
      const others = finalizers.filter((name) => name !== cleanup)
      const metadata = { ...service.metadata, finalizers: wanted ? [...others, cleanup] : others }
      return await client.update(services, { ...service, metadata })
    }

    // A Service that goes may free the port for another one.
    const keys = (service: StoredObject) =>
      isBalanced(service) ? [...itself(service), ...known.list().filter(isBalanced).flatMap(itself)] : itself(service)
    return reconcileOn(context, 'service-lb', [{ ref: services, keys }], sync, 1)
  },
}
