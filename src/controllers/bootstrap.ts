// The objects that are there from the first second beside those of the API server itself (namespaces, roles): the local
// StorageClass and VolumeSnapshotClass, the default RuntimeClass, the system PriorityClasses. Written once; what a person changed
// or removed later stays so until the next start.

import { isApiError } from '../api/errors.ts'
import type { KindDefinition } from '../api/kind.ts'
import type { ApiObject, ResourceRef } from '../api/meta.ts'
import type { Client } from '../client/client.ts'
import { localProvisioner } from '../kinds/storage/local-provisioner.ts'
import { defaultSnapshotClass } from '../kinds/volumesnapshot/names.ts'
import { localClass } from './local-volumes.ts'
import {
  kubevirts,
  namespaces,
  priorityClasses,
  runtimeClasses,
  storageClasses,
  volumeSnapshotClasses,
} from './resources.ts'

const priorityClass = (name: string, value: number, description: string): ApiObject => ({
  apiVersion: 'scheduling.k8s.io/v1',
  kind: 'PriorityClass',
  metadata: { name },
  value,
  description,
})

export const defaultObjects: { ref: ResourceRef; object: ApiObject }[] = [
  {
    ref: storageClasses,
    object: {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: { name: localClass, annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
      provisioner: localProvisioner,
      reclaimPolicy: 'Delete',
      volumeBindingMode: 'WaitForFirstConsumer',
      allowVolumeExpansion: true,
    },
  },
  {
    ref: volumeSnapshotClasses,
    object: {
      apiVersion: 'snapshot.storage.k8s.io/v1',
      kind: 'VolumeSnapshotClass',
      metadata: { name: localClass, annotations: { [defaultSnapshotClass]: 'true' } },
      driver: localProvisioner,
      deletionPolicy: 'Delete',
    },
  },
  {
    ref: runtimeClasses,
    object: { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'runc' }, handler: 'runc' },
  },
  // Values of pkg/apis/scheduling (1.32).
  {
    ref: priorityClasses,
    object: priorityClass('system-node-critical', 2_000_001_000, 'For Pods that their node cannot do without.'),
  },
  {
    ref: priorityClasses,
    object: priorityClass('system-cluster-critical', 2_000_000_000, 'For Pods that the cluster cannot do without.'),
  },
]

/** Where clients of virtual machines look for what they talk to. */
const installation: { ref: ResourceRef; object: ApiObject }[] = [
  { ref: namespaces, object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kubevirt' } } },
  {
    ref: kubevirts,
    object: {
      apiVersion: 'kubevirt.io/v1',
      kind: 'KubeVirt',
      metadata: { name: 'kubevirt', namespace: 'kubevirt' },
      spec: {},
    },
  },
]

/** Creates what is missing, of the kinds that the server serves. */
export async function bootstrap(client: Client, kinds: readonly KindDefinition[]): Promise<void> {
  for (const { ref, object } of [...defaultObjects, ...installation]) {
    if (!kinds.some((kind) => kind.group === ref.group && kind.plural === ref.resource)) continue
    try {
      await client.create(ref, object)
    } catch (error) {
      if (!isApiError(error, 'AlreadyExists')) throw error
    }
  }
}
