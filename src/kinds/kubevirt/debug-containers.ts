// Containers that somebody asked for beside a guest (kubectl debug). Each is a Pod of its own in the network of the machine;
// the instance lists them, and the Pod that shows it shows them as its ephemeral containers. Pure.

import type { ApiObject, StoredObject } from '../../api/meta.ts'

/** On a Pod: the instance in whose network it is. Nothing comes of it where that one does not list the Pod. */
export const besideAnnotation = 'tandem.dev/beside-machine'
/** On the instance: its DebugContainers as JSON. */
export const debugContainersAnnotation = 'tandem.dev/debug-containers'

export interface DebugContainer {
  /** As it was asked for: an EphemeralContainer. */
  container: { name: string; [field: string]: unknown }
  /** The Pod that it runs as. */
  pod: string
  /** What became of it: a ContainerStatus. */
  status?: Record<string, any>
}

export function debugContainersOf({ metadata }: ApiObject): DebugContainer[] {
  const text = metadata.annotations?.[debugContainersAnnotation]
  if (!text) return []
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) ? list.filter((one) => one?.container?.name && typeof one.pod === 'string') : []
  } catch {
    return []
  }
}

export const debugContainersText = (list: DebugContainer[]): string => JSON.stringify(list)

export const instanceBeside = ({ metadata }: { metadata: { annotations?: Record<string, string> } }) =>
  metadata.annotations?.[besideAnnotation]

/** Both sides say so. */
export const isBeside = (pod: StoredObject, instance: StoredObject): boolean =>
  instanceBeside(pod) === instance.metadata.name &&
  (pod.metadata.ownerReferences ?? []).some(({ uid }) => uid === instance.metadata.uid) &&
  debugContainersOf(instance).some((one) => one.pod === pod.metadata.name)

/** The Pod for a container that is asked for; `shown` is the one that shows the instance. */
export function debugPod(instance: StoredObject, shown: StoredObject, asked: DebugContainer['container']): ApiObject {
  // A guest's processes are no container's.
  const { targetContainerName: _, ...container } = asked
  const { name, namespace, uid } = instance.metadata
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `${shown.metadata.name}-${asked.name}`,
      namespace: namespace!,
      annotations: { [besideAnnotation]: name },
      ownerReferences: [
        {
          apiVersion: instance.apiVersion,
          kind: 'VirtualMachineInstance',
          name,
          uid,
          controller: true,
          blockOwnerDeletion: false,
        },
      ],
    },
    spec: {
      nodeName: instance.status?.nodeName,
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      tolerations: [{ operator: 'Exists' }],
      containers: [container],
    },
  }
}

const waiting = { waiting: { reason: 'ContainerCreating' } }

/** As it is noted. */
export const notedStatus = ({ container, status }: DebugContainer): Record<string, any> =>
  status ?? { name: container.name, image: container.image, imageID: '', ready: false, restartCount: 0, state: waiting }

/** What is to be noted; undefined `pod`: it is gone. Texts of the kubelet (1.36). */
export function debugStatus(entry: DebugContainer, pod: StoredObject | undefined): Record<string, any> {
  const seen = pod?.status?.containerStatuses?.[0]
  if (seen) {
    const { resources: _, allocatedResources: __, ...rest } = seen
    return rest
  }
  const known = notedStatus(entry)
  if (pod || !entry.status || known.state?.terminated) return known
  const message = 'The container could not be located when the pod was deleted.  The container used to be Running'
  const terminated = {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message,
    startedAt: null,
    finishedAt: null,
  }
  return { ...known, ready: false, started: false, state: { terminated } }
}
