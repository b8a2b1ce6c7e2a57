// The host agent: what the API says about workloads of this node becomes real here, and what is real is told to the API.
// One loop per driver, the same for Pods and virtual machines; a driver knows nothing of the API server.

import { isApiError } from '../api/errors.ts'
import { objectKey, type ResourceRef, type StoredObject } from '../api/meta.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import type { Client } from '../client/client.ts'
import type { Informer, InformerFactory } from '../client/informer.ts'
import { createReconciler, type ReconcileResult, type Reconciler } from '../client/reconciler.ts'
import type { WorkloadDriver } from './workload.ts'

/** A driver and how the API treats its objects. */
export interface HostedDriver {
  driver: WorkloadDriver
  ref: ResourceRef
  /** True for an object that this node has to run. */
  ours(object: StoredObject, nodeName: string): boolean
  /** Tells the API that nothing of a deleted object runs any more, so that it may go. */
  release(client: Client, object: StoredObject): Promise<void>
}

export interface HostOptions {
  client: Client
  informers: InformerFactory
  clock: Clock
  log: Logger
  nodeName: string
  drivers: HostedDriver[]
  /** Workloads that are started or stopped at the same time, for each driver. */
  concurrency?: number
}

export interface Host {
  /** Takes over what runs already, removes what no object asks for, then follows the API. */
  start(): Promise<void>
  /** Lets go; workloads run on. */
  stop(): Promise<void>
}

/** Until the newer version of an object is seen here. */
const outdatedMs = 20

export function createHost(options: HostOptions): Host {
  const loops = options.drivers.map((hosted) => createLoop(options, hosted))
  return {
    async start() {
      await Promise.all(loops.map((loop) => loop.start()))
    },
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()))
    },
  }
}

function createLoop({ client, informers, clock, log, nodeName, concurrency = 16 }: HostOptions, hosted: HostedDriver) {
  const { driver, ref } = hosted
  const informer: Informer = informers.informer(ref)
  /** The newest version that we know, ours included: an informer may lag behind our own writes. */
  const newest = new Map<string, StoredObject>()
  /** Which uid of a key this host works on: the same name can come back as another object. */
  const uidOf = new Map<string, string>()
  const keyOf = new Map<string, string>()
  /** Deleted, ended and removed from this machine; whoever put a finalizer on it keeps the object. */
  const released = new Map<string, string>()

  const reconciler: Reconciler = createReconciler({
    name: `host.${driver.kind}`,
    concurrency,
    clock,
    log,
    reconcile: (key) => reconcile(key),
  })

  function current(key: string): StoredObject | undefined {
    const seen = informer.get(key)
    const own = newest.get(key)
    if (!seen || !own || own.metadata.uid !== seen.metadata.uid) return seen
    return Number(own.metadata.resourceVersion) > Number(seen.metadata.resourceVersion) ? own : seen
  }

  async function reconcile(key: string): Promise<ReconcileResult | undefined> {
    const object = current(key)
    const known = uidOf.get(key)
    if (known && known !== object?.metadata.uid) await forget(key, known)
    if (released.get(key) !== object?.metadata.uid) released.delete(key)
    else if (object) return undefined
    if (!object || !hosted.ours(object, nodeName)) return undefined
    uidOf.set(key, object.metadata.uid)
    keyOf.set(object.metadata.uid, key)
    const { deletionTimestamp, uid } = object.metadata
    const wasStopped = deletionTimestamp !== undefined && driver.stopped(uid)
    const { status, requeueAfter } = await driver.sync(object)
    if (status && !(await publish(key, object, status))) return { requeueAfter: outdatedMs }
    if (wasStopped) await release(key, object)
    // The last status tells of the end: one that was made before it is not the last.
    else if (deletionTimestamp && driver.stopped(uid)) return { requeueAfter: 0 }
    return requeueAfter === undefined ? undefined : { requeueAfter }
  }

  /**
   * A JSON patch: it replaces the whole status and only that. Others write conditions, too (the scheduler, evictions):
   * a status that does not know of theirs is made anew. False when that is so.
   */
  async function publish(key: string, object: StoredObject, status: Record<string, unknown>): Promise<boolean> {
    const { name, namespace, uid, resourceVersion } = object.metadata
    const patch = [
      { op: 'test', path: '/metadata/uid', value: uid },
      { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
      { op: 'add', path: '/status', value: status },
    ]
    try {
      newest.set(key, await client.patch(ref, name, namespace, 'json', patch, { subresource: 'status' }))
      return true
    } catch (error) {
      // Gone, or replaced by another object of the same name: the informer will tell.
      if (isApiError(error, 'NotFound')) return true
      if (!isApiError(error, 'Invalid')) throw error
      if (error.message.includes('testing value')) return false
      log.warn('the server refused a status', { object: `${driver.kind} ${key}`, error })
      return true
    }
  }

  async function release(key: string, object: StoredObject): Promise<void> {
    await driver.remove(workloadOf(object))
    try {
      await hosted.release(client, object)
      released.set(key, object.metadata.uid)
    } catch (error) {
      if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
    }
    if (uidOf.get(key) === object.metadata.uid) clear(key, object.metadata.uid)
  }

  /** The object is gone from the API, or another one has its name. */
  async function forget(key: string, uid: string): Promise<void> {
    const [name = '', namespace = ''] = key.split('/').reverse()
    await driver.remove({ uid, namespace, name })
    clear(key, uid)
  }

  function clear(key: string, uid: string): void {
    uidOf.delete(key)
    keyOf.delete(uid)
    newest.delete(key)
  }

  async function removeOrphans(): Promise<void> {
    for (const workload of await driver.found()) {
      const key = `${workload.namespace}/${workload.name}`
      if (informer.get(key)?.metadata.uid === workload.uid) {
        uidOf.set(key, workload.uid)
        keyOf.set(workload.uid, key)
        continue
      }
      log.info('removing what no object asks for', { kind: driver.kind, workload: key, uid: workload.uid })
      await driver.remove(workload).catch((error) => log.warn('cannot remove', { workload: key, error }))
    }
  }

  return {
    async start() {
      await driver.start()
      await informer.synced()
      await removeOrphans()
      driver.onChange((uid) => {
        const key = keyOf.get(uid)
        if (key) reconciler.enqueue(key)
      })
      informer.addHandler({
        changed: (object) => reconciler.enqueue(objectKey(object)),
        removed: (object) => reconciler.enqueue(objectKey(object)),
      })
      reconciler.start()
    },
    async stop() {
      await reconciler.stop()
      await driver.stop()
    },
  }
}

const workloadOf = ({ metadata }: StoredObject) => ({
  uid: metadata.uid,
  namespace: metadata.namespace ?? '',
  name: metadata.name,
})

/** Pods go when the node deletes them with no grace left (as the kubelet does). */
export const podHosting = (driver: WorkloadDriver): HostedDriver => ({
  driver,
  ref: { group: '', version: 'v1', resource: 'pods' },
  ours: (object, nodeName) => object.spec.nodeName === nodeName,
  release: async (client, { metadata }) =>
    await client.delete({ group: '', version: 'v1', resource: 'pods' }, metadata.name, metadata.namespace, {
      gracePeriodSeconds: 0,
      preconditions: { uid: metadata.uid },
    }),
})

/** KubeVirt's finalizer on an instance that runs somewhere (kubevirt.io/api core/v1, VirtualMachineInstanceFinalizer). */
export const machineFinalizer = 'foregroundDeleteVirtualMachine'

const instances: ResourceRef = { group: 'kubevirt.io', version: 'v1', resource: 'virtualmachineinstances' }

/** Virtual machine instances are held by a finalizer until their QEMU is gone. */
export const machineHosting = (driver: WorkloadDriver): HostedDriver => ({
  driver,
  ref: instances,
  ours: (object, nodeName) => !object.status?.nodeName || object.status.nodeName === nodeName,
  async release(client, { metadata }) {
    const index = metadata.finalizers?.indexOf(machineFinalizer) ?? -1
    if (index < 0) return
    await client.patch(instances, metadata.name, metadata.namespace, 'json', [
      { op: 'test', path: '/metadata/uid', value: metadata.uid },
      { op: 'test', path: `/metadata/finalizers/${index}`, value: machineFinalizer },
      { op: 'remove', path: `/metadata/finalizers/${index}` },
    ])
  },
})
