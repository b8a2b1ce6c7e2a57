// The `kubernetes` Service in `default`, by which workloads find the API, with the one endpoint that it has.
// Mirrors pkg/controlplane/controller/kubernetesservice and reconcilers (1.32).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerDefinition, type ControllerSettings, reconcileOn } from './controller.ts'
import { semanticallyEqual } from './equality.ts'
import { endpointSlices, endpoints, services } from './resources.ts'

const serviceName = 'kubernetes'
const namespace = 'default'
const port = { name: 'https', protocol: 'TCP' }

/** The objects as they should be. Pure. */
export function kubernetesObjects(api: ControllerSettings['api']): { ref: ResourceRef; object: ApiObject }[] {
  return [
    {
      ref: services,
      object: {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: {
          name: serviceName,
          namespace,
          labels: { component: 'apiserver', provider: 'kubernetes' },
        },
        spec: {
          type: 'ClusterIP',
          clusterIP: api.clusterIP,
          clusterIPs: [api.clusterIP],
          ipFamilies: ['IPv4'],
          ipFamilyPolicy: 'SingleStack',
          ports: [{ ...port, port: 443, targetPort: api.port }],
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
          name: serviceName,
          namespace,
          // The slice below is ours too: nobody is to mirror these endpoints.
          labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
        },
        subsets: [{ addresses: [{ ip: api.endpointIP }], ports: [{ ...port, port: api.port }] }],
      },
    },
    {
      ref: endpointSlices,
      object: {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: serviceName, namespace, labels: { 'kubernetes.io/service-name': serviceName } },
        addressType: 'IPv4',
        endpoints: [{ addresses: [api.endpointIP], conditions: { ready: true } }],
        ports: [{ ...port, port: api.port }],
      },
    },
  ]
}

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
    const wanted = kubernetesObjects(settings.api)
    const key = `${namespace}/${serviceName}`
    const keys = ({ metadata }: StoredObject) =>
      metadata.name === serviceName && metadata.namespace === namespace ? [key] : []

    async function sync(): Promise<ReconcileResult | undefined> {
      for (const { ref, object } of wanted) {
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

    const watched = wanted.map(({ ref }) => ({ ref, keys }))
    const running = reconcileOn(context, 'kubernetes-service', watched, sync, 1)
    running.reconciler.enqueue(key)
    return running
  },
}
