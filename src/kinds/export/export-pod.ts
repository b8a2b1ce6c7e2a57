// An export as the Pod that tools look for: in KubeVirt one stands behind each export's Service, and virtctl forwards a port
// to it. Here no such Pod exists; it is what a ready export looks like through a Pod's eyes. Pure. Names and labels:
// KubeVirt 1.9 (pkg/storage/export/export, RenderExporterManifest).

import type { StoredObject } from '../../api/meta.ts'

/** By which an export's Service selects its Pod. */
export const exportServiceLabel = 'kubevirt.io.virt-export-service'
const podPrefix = 'virt-export-'
export const exportPort = 8443
/** Its own uid, so that nobody who keeps objects by uid takes the Pod for the export. */
const podUid = (uid: string): string => uid.replace(/^.{8}/, (start) => [...start].reverse().join(''))

export const mayBeExportPod = (name: string): boolean => name.startsWith(podPrefix)

/** Undefined while nothing can be taken from the export. */
export function exportPod({ metadata, status }: StoredObject): StoredObject | undefined {
  const name: string | undefined = status?.serviceName
  if (status?.phase !== 'Ready' || !name || metadata.deletionTimestamp) return undefined
  const since = status.conditions?.find((one: any) => one.type === 'Ready')?.lastTransitionTime
  const condition = (type: string) => ({
    type,
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: since ?? metadata.creationTimestamp,
  })
  const container = 'exporter'
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      ...(metadata.namespace && { namespace: metadata.namespace }),
      uid: podUid(metadata.uid),
      resourceVersion: metadata.resourceVersion,
      creationTimestamp: metadata.creationTimestamp,
      labels: { [exportServiceLabel]: name, ...metadata.labels },
      ...(metadata.annotations && { annotations: metadata.annotations }),
      ownerReferences: [
        {
          apiVersion: 'export.kubevirt.io/v1',
          kind: 'VirtualMachineExport',
          name: metadata.name,
          uid: metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: {
      restartPolicy: 'Never',
      containers: [
        {
          name: container,
          image: 'none',
          imagePullPolicy: 'IfNotPresent',
          ports: [{ containerPort: exportPort, protocol: 'TCP' }],
          resources: {},
        },
      ],
    },
    status: {
      phase: 'Running',
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(condition),
      containerStatuses: [
        {
          name: container,
          image: 'none',
          imageID: '',
          ready: true,
          started: true,
          restartCount: 0,
          state: { running: { startedAt: since ?? metadata.creationTimestamp } },
          lastState: {},
        },
      ],
    },
  }
}
