// The Services that Tandem itself stands behind, each with its one endpoint: `kubernetes` in `default`, by which workloads
// find the API, and `kube-dns` in `kube-system`, cluster DNS under the name that tools look for.
// Mirrors pkg/controlplane/controller/kubernetesservice and reconcilers (1.36).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerDefinition, type ControllerSettings, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { endpointSlices, endpoints, services } from './resources.ts'

interface OwnService {
  namespace: string
  name: string
  labels: Record<string, string>
  clusterIP: string
  endpointIP: string
  /** `target` is the port at the endpoint. */
  ports: { name: string; protocol: 'TCP' | 'UDP'; port: number; target: number }[]
}

type Placed = { ref: ResourceRef; object: ApiObject }

/** Service, Endpoints and EndpointSlice as they should be. Pure. */
function objectsOf({ namespace, name, labels, clusterIP, endpointIP, ports }: OwnService): Placed[] {
  const behind = ports.map(({ target, ...port }) => ({ name: port.name, protocol: port.protocol, port: target }))
  return [
    {
      ref: services,
      object: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name, namespace, labels },
        spec: {
          type: 'ClusterIP',
          clusterIP,
          clusterIPs: [clusterIP],
          ipFamilies: ['IPv4'],
          ipFamilyPolicy: 'SingleStack',
          ports: ports.map(({ target, ...port }) => ({ ...port, targetPort: target })),
          sessionAffinity: 'None',
        },
      },
    },
    {
      ref: endpoints,
      object: {
        apiVersion: 'v1',
        kind: 'Endpoints',
        metadata: {
          name,
          namespace,
          // The slice below is ours too: nobody is to mirror these endpoints.
          labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
        },
        subsets: [{ addresses: [{ ip: endpointIP }], ports: behind }],
      },
    },
    {
      ref: endpointSlices,
      object: {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
        addressType: 'IPv4',
        endpoints: [{ addresses: [endpointIP], conditions: { ready: true } }],
        ports: behind,
      },
    },
  ]
}

export const kubernetesObjects = (api: ControllerSettings['api']): Placed[] =>
  objectsOf({
    namespace: 'default',
    name: 'kubernetes',
    labels: { component: 'apiserver', provider: 'kubernetes' },
    clusterIP: api.clusterIP,
    endpointIP: api.endpointIP,
    ports: [{ name: 'https', protocol: 'TCP', port: 443, target: api.port }],
  })

export const dnsObjects = (address: string): Placed[] =>
  objectsOf({
    namespace: 'kube-system',
    name: 'kube-dns',
    labels: {
      'k8s-app': 'kube-dns',
      'kubernetes.io/cluster-service': 'true',
      'kubernetes.io/name': 'CoreDNS',
    },
    clusterIP: address,
    endpointIP: address,
    ports: [
      { name: 'dns', protocol: 'UDP', port: 53, target: 53 },
      { name: 'dns-tcp', protocol: 'TCP', port: 53, target: 53 },
    ],
  })

/** Fields of ours that differ; what others added to a Service stays. */
function isRight(existing: StoredObject, wanted: ApiObject): boolean {
  if (wanted.kind === 'Service') return semanticallyEqual(existing.spec?.ports, wanted.spec.ports)
  return (
    semanticallyEqual(existing.subsets, wanted.subsets) &&
    semanticallyEqual(existing.endpoints, wanted.endpoints) &&
    semanticallyEqual(existing.ports, wanted.ports)
  )
}

export const kubernetesService: ControllerDefinition = {
  name: 'kubernetes-service',
  start(context) {
    const { client, informers, settings } = context
    const { dns } = settings.services
    const wanted = [...kubernetesObjects(settings.api), ...(dns ? dnsObjects(dns) : [])]
    const keyOf = ({ metadata }: ApiObject) => `${metadata.namespace}/${metadata.name}`
    const keys = new Set(wanted.map(({ object }) => keyOf(object)))

    async function sync(key: string): Promise<ReconcileResult | undefined> {
      for (const { ref, object } of wanted) {
        if (keyOf(object) !== key) continue
        const existing = informers.informer(ref).get(key)
        if (existing && isRight(existing, object)) continue
        if (!existing) {
          await client.create(ref, object).catch((error) => {
            if (!isApiError(error, 'AlreadyExists')) throw error
          })
        } else if (object.spec) {
          await client.update(ref, { ...existing, spec: { ...existing.spec, ports: object.spec.ports } })
        } else
          await client.update(ref, { ...existing, ...object, metadata: { ...existing.metadata, ...object.metadata } })
      }
      return undefined
    }

    const concerned = (object: StoredObject) => (keys.has(keyOf(object)) ? [keyOf(object)] : [])
    const watched = [services, endpoints, endpointSlices].map((ref) => ({ ref, keys: concerned }))
    const running = reconcileOn(context, 'kubernetes-service', watched, sync, 1)
    for (const key of keys) running.reconciler.enqueue(key)
    return running
  },
}
