// What every controller is: a name and a start. And the frame that nearly all of them share: objects of some resources
// change, their keys are reconciled.

import type { KindDefinition } from '../api/kind.ts'
import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import type { Client } from '../client/client.ts'
import type { Informer, InformerFactory } from '../client/informer.ts'
import { createReconciler, type Reconcile, type Reconciler } from '../client/reconciler.ts'
import type { EventRecorder } from '../client/record.ts'
import type { RequestFacts } from './csr-signers.ts'

/** How volumes of the local StorageClass come to be and go on the machine. */
export interface LocalVolumes {
  /** Directory under which they are. */
  dir: string
  create(path: string): Promise<void>
  /** Removes the directory with everything in it; one that is gone already is no error. */
  remove(path: string): Promise<void>
}

/** Tandem's own authority, for the built-in signers. */
export interface CertificateAuthority {
  readRequest(request: string): Promise<RequestFacts>
  /** PEM in base64. */
  signRequest(order: { request: string; usages: string[]; expirationSeconds?: number }): Promise<string>
}

export interface ControllerSettings {
  /** Without one no request for a certificate is approved or signed. */
  certificates?: CertificateAuthority
  /** A token without an end for the Secret that holds it; without this, such Secrets stay empty. */
  issueAccountToken?: (namespace: string, account: { name: string; uid: string }, secret: string) => Promise<string>
  volumes: LocalVolumes
  /** PEM of the CA that signed the API server's certificate: published to every namespace. */
  caCertificate: string
  /** Where workloads find the API: the `kubernetes` Service and its one endpoint. */
  api: { clusterIP: string; endpointIP: string; port: number }
  /** Where ClusterIPs come from; the address at which load balancers are reached (none: they stay pending); cluster DNS. */
  services: { cidr: string; address?: string; dns?: string }
  /** host:port of the API for those outside, under the same authority; without it exports have internal links only. */
  externalAddress?: string
}

export interface ControllerContext {
  /** Its writes are seen by `informers` at once (client/caching-client.ts). */
  client: Client
  informers: InformerFactory
  clock: Clock
  log: Logger
  /** A recorder whose events come from `component`. */
  recorder(component: string): EventRecorder
  /** Every kind that the server serves: for garbage collection and namespaces. */
  kinds: () => readonly KindDefinition[]
  settings: ControllerSettings
}

export interface RunningController {
  stop(): Promise<void>
}

export interface ControllerDefinition {
  name: string
  start(context: ControllerContext): RunningController
}

/** Objects of a resource, and the keys to reconcile when one of them changes. */
export interface Watched {
  ref: ResourceRef
  keys: (object: StoredObject) => Iterable<string>
}

/** The objects themselves are what is reconciled. */
export const itself = (object: StoredObject): string[] => [objectKey(object)]

/** The controlling owner of `kind` is what is reconciled. */
export const controllerOfKind =
  (kind: string) =>
  (object: StoredObject): string[] => {
    const owner = object.metadata.ownerReferences?.find((reference) => reference.controller && reference.kind === kind)
    return owner ? [`${object.metadata.namespace}/${owner.name}`] : []
  }

/** Reconciles each key that a change touches, before and after the change, once all informers are filled. */
export function reconcileOn(
  context: ControllerContext,
  name: string,
  watched: Watched[],
  reconcile: Reconcile,
  concurrency = 4,
): RunningController & { reconciler: Reconciler } {
  const { informers, clock, log } = context
  const reconciler = createReconciler({ name, reconcile, clock, log, concurrency })
  const enqueue = (keys: Iterable<string>) => {
    for (const key of keys) reconciler.enqueue(key)
  }
  const sources: Informer[] = []
  for (const { ref, keys } of watched) {
    const informer = informers.informer(ref)
    sources.push(informer)
    informer.addHandler({
      changed: (object, old) => {
        enqueue(keys(object))
        if (old) enqueue(keys(old))
      },
      removed: (last) => enqueue(keys(last)),
    })
  }
  let stopped = false
  void Promise.all(sources.map((informer) => informer.synced())).then(() => {
    if (!stopped) reconciler.start()
  })
  return {
    reconciler,
    stop: () => {
      stopped = true
      return reconciler.stop()
    },
  }
}

/** 'namespace/name' taken apart. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf('/')
  return { namespace: key.slice(0, Math.max(slash, 0)), name: key.slice(slash + 1) }
}
