// What every namespace gets: the ServiceAccount `default` and the ConfigMap with the API server's CA.
// Mirrors pkg/controller/serviceaccount and certificates/rootcacertpublisher (1.32).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, ResourceRef, StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import { type ControllerContext, type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { isNamespaceTerminating } from './pod-control.ts'
import { configMaps, namespaces, serviceAccounts } from './resources.ts'

const defaultAccount = 'default'
const caConfigMap = 'kube-root-ca.crt'

/** Brings one object of a fixed name in each namespace to what it should be. */
function perNamespace(
  name: string,
  ref: ResourceRef,
  objectName: string,
  desired: (namespace: string, context: ControllerContext) => ApiObject,
  isRight: (object: StoredObject, desired: ApiObject) => boolean,
): ControllerDefinition {
  return {
    name,
    start(context) {
      const { client, informers } = context
      const namespaceInformer = informers.informer(namespaces)
      const informer = informers.informer(ref)
      async function sync(key: string): Promise<ReconcileResult | undefined> {
        const namespace = namespaceInformer.get(key)
        if (!namespace || namespace.metadata.deletionTimestamp) return undefined
        const wanted = desired(key, context)
        const existing = informer.get(`${key}/${objectName}`)
        if (existing && (existing.metadata.deletionTimestamp || isRight(existing, wanted))) return undefined
        try {
          if (existing) await client.update(ref, { ...existing, ...wanted, metadata: existing.metadata })
          else await client.create(ref, wanted)
        } catch (error) {
          if (!isNamespaceTerminating(error) && !isApiError(error, 'AlreadyExists')) throw error
        }
        return undefined
      }
      return reconcileOn(
        context,
        name,
        [
          { ref: namespaces, keys: itself },
          {
            ref,
            keys: ({ metadata }) => (metadata.name === objectName ? [metadata.namespace!] : []),
          },
        ],
        sync,
      )
    },
  }
}

export const serviceAccount = perNamespace(
  'serviceaccount',
  serviceAccounts,
  defaultAccount,
  (namespace) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: defaultAccount, namespace } }),
  () => true,
)

export const rootCaPublisher = perNamespace(
  'root-ca-publisher',
  configMaps,
  caConfigMap,
  (namespace, { settings }) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: caConfigMap,
      namespace,
      annotations: {
        'kubernetes.io/description': 'The CA that signed the certificate of this API server, for clients inside.',
      },
    },
    data: { 'ca.crt': settings.caCertificate },
  }),
  (object, wanted) => object.data?.['ca.crt'] === wanted.data['ca.crt'],
)
