// Containers that run beside guests (kubectl debug): what becomes of their Pods is noted on the instance, where the Pod that
// shows it has it from; they end with the guest.

import { isApiError } from '../api/errors.ts'
import { objectKey, type StoredObject } from '../api/meta.ts'
import type { ReconcileResult } from '../client/reconciler.ts'
import {
  debugContainersAnnotation,
  debugContainersOf,
  debugContainersText,
  debugStatus,
  instanceBeside,
} from '../kinds/kubevirt/debug-containers.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { moment } from './moment.ts'
import { isFinished } from './pod-state.ts'
import { pods, virtualMachineInstances } from './resources.ts'

/** The server makes the Pod and then notes it: so long after that it was killed in between. */
const unnotedMs = 60_000

/** The annotation as it should be; undefined when it is. Pure. */
export function debugNotes(
  instance: StoredObject,
  podOf: (name: string) => StoredObject | undefined,
): string | undefined {
  const list = debugContainersOf(instance)
  if (!list.length) return undefined
  const text = debugContainersText(list.map((one) => ({ ...one, status: debugStatus(one, podOf(one.pod)) })))
  return text === instance.metadata.annotations?.[debugContainersAnnotation] ? undefined : text
}

const beside = ({ metadata }: StoredObject): string[] => {
  const name = instanceBeside({ metadata })
  return name ? [`${metadata.namespace}/${name}`] : []
}

export const machineDebug: ControllerDefinition = {
  name: 'machine-debug',
  start(context) {
    const { client, informers, clock } = context
    const instances = informers.informer(virtualMachineInstances)
    const all = informers.informer(pods)
    all.addIndex('besideMachine', beside)

    async function remove(pod: StoredObject): Promise<void> {
      const { name, namespace, uid, deletionTimestamp } = pod.metadata
      if (deletionTimestamp) return
      await client.delete(pods, name, namespace, { preconditions: { uid } }).catch((error) => {
        if (!isApiError(error, 'NotFound')) throw error
      })
    }

    async function sync(key: string): Promise<ReconcileResult | undefined> {
      const instance = instances.get(key)
      if (!instance) return undefined
      const { name, namespace, uid, resourceVersion, deletionTimestamp } = instance.metadata
      const own = all
        .byIndex('besideMachine', key)
        .filter(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid))
      const listed = new Set(debugContainersOf(instance).map(({ pod }) => pod))
      if (isFinished(instance) || deletionTimestamp) for (const pod of own) await remove(pod)
      const text = debugNotes(instance, (pod) => own.find(({ metadata }) => metadata.name === pod))
      if (text)
        await client.patch(virtualMachineInstances, name, namespace, 'merge', {
          metadata: { resourceVersion, annotations: { [debugContainersAnnotation]: text } },
        })
      const unnoted = own.filter(({ metadata }) => !listed.has(metadata.name))
      const due = (pod: StoredObject) => moment(pod.metadata.creationTimestamp) + unnotedMs - clock.now()
      for (const pod of unnoted) if (due(pod) <= 0) await remove(pod)
      const next = unnoted.map(due).filter((ms) => ms > 0)
      return next.length ? { requeueAfter: Math.min(...next) } : undefined
    }

    return reconcileOn(
      context,
      'machine-debug',
      [
        { ref: virtualMachineInstances, keys: (instance) => (isKnown(instance, all) ? itself(instance) : []) },
        { ref: pods, keys: beside },
      ],
      sync,
    )
  },
}

const isKnown = (instance: StoredObject, all: { byIndex(index: string, key: string): StoredObject[] }): boolean =>
  debugContainersOf(instance).length > 0 || all.byIndex('besideMachine', objectKey(instance)).length > 0
