// Exports of machines' disks: what is offered, whether it may be taken now, and the status that tells of it. Pure; names,
// reasons and texts as in KubeVirt 1.9 (pkg/storage/export/export).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { formatTime, parseDuration } from '../api/time.ts'
import { exportPort, exportServiceLabel } from '../kinds/export/export-pod.ts'
import { type Condition, withCondition } from './conditions.ts'
import { moment } from './moment.ts'
import { controllerReference } from './ownership.ts'
import { isFinished } from './pod-state.ts'

const defaultTtlMs = 2 * 3600 * 1000
/** Longest name of a Service. */
const longestName = 63

type Verdict = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>

/** What an export offers, and how that stands. */
export interface ExportSource {
  /** Undefined while not all of them are there. */
  claims: { claim: StoredObject; name: string; isDisk: boolean }[] | undefined
  /** Why nothing can be taken now. */
  obstacle?: { reason: string; message: string }
  condition?: Verdict
  /** There is nothing to export and never will be. */
  skipped?: boolean
  machineName?: string
  /** It comes with the manifest of a machine. */
  hasMachine: boolean
}

export interface ExportPlaces {
  /** Certificate authority of both ways, PEM. */
  cert: string
  /** host:port at which Tandem is reached from outside; absent: from inside only. */
  external?: string
}

export const expiresAt = ({ metadata, spec }: StoredObject): number =>
  moment(metadata.creationTimestamp) +
  (spec.ttlDuration === undefined ? defaultTtlMs : (parseDuration(spec.ttlDuration) ?? defaultTtlMs))

export const serviceName = (name: string): string => shortened(`virt-export-${name.replaceAll('.', '-')}`)
export const tokenSecretName = (name: string): string => shortened(`export-token-${name}`)

/** Names that are too long keep their beginning, and a sum of the whole. */
function shortened(name: string): string {
  if (name.length <= longestName) return name
  let sum = 0x811c9dc5
  for (const letter of name) sum = Math.imul(sum ^ letter.codePointAt(0)!, 0x01000193) >>> 0
  return `${name.slice(0, longestName - 9)}-${sum.toString(16).padStart(8, '0')}`
}

const labels = { 'kubevirt.io': 'virt-exporter' }

export const exportService = (owner: StoredObject): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: {
    name: serviceName(owner.metadata.name),
    namespace: owner.metadata.namespace!,
    labels: { ...owner.metadata.labels, ...labels },
    ownerReferences: [controllerReference(owner)],
  },
  // Only a view of a Pod has this label: Tandem itself is behind the Service, by an EndpointSlice.
  spec: {
    selector: { [exportServiceLabel]: serviceName(owner.metadata.name) },
    ports: [{ name: 'export', protocol: 'TCP', port: 443, targetPort: exportPort }],
  },
})

export function exportSlice(owner: StoredObject, api: { endpointIP: string; port: number }): ApiObject {
  const name = serviceName(owner.metadata.name)
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name,
      namespace: owner.metadata.namespace!,
      labels: {
        ...labels,
        'kubernetes.io/service-name': name,
        'endpointslice.kubernetes.io/managed-by': 'export-controller.kubevirt.io',
      },
      ownerReferences: [controllerReference(owner)],
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: [api.endpointIP], conditions: { ready: true } }],
    ports: [{ name: 'export', protocol: 'TCP', port: api.port }],
  }
}

export const exportToken = (owner: StoredObject, token: string): ApiObject => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: {
    name: tokenSecretName(owner.metadata.name),
    namespace: owner.metadata.namespace!,
    ownerReferences: [controllerReference(owner)],
  },
  type: 'Opaque',
  stringData: { token },
})

/** The claims that the volumes of a machine or an instance are, by volume; `isDisk` where the guest has them as disks. */
export function claimVolumes(spec: any): { claimName: string; isDisk: boolean }[] {
  return (spec?.volumes ?? []).flatMap((volume: any) => {
    const disk = volume.persistentVolumeClaim?.claimName ?? volume.dataVolume?.name
    const dump = volume.memoryDump?.claimName
    if (disk) return [{ claimName: disk, isDisk: true }]
    return dump ? [{ claimName: dump, isDisk: false }] : []
  })
}

/** Running or about to: its disks change under whoever reads them. */
export const isLive = (instance: StoredObject | undefined): boolean => instance !== undefined && !isFinished(instance)

export const isPopulated = (claim: StoredObject): boolean => claim.status?.phase === 'Bound'

const contentType = 'cdi.kubevirt.io/storage.contentType'

/** A claim that holds one disk: as its annotation says, as its mode says, or because a machine has it as a disk. */
export function holdsDisk(claim: StoredObject, isDiskOfMachine: boolean): boolean {
  if (claim.spec.volumeMode === 'Block') return true
  const said = claim.metadata.annotations?.[contentType]
  if (said !== undefined) return said === '' || said === 'kubevirt'
  return isDiskOfMachine || claim.metadata.ownerReferences?.some(({ kind }) => kind === 'DataVolume') === true
}

export function claimCondition(claim: StoredObject | undefined, key: string): Verdict {
  if (!claim)
    return {
      type: 'PVCReady',
      status: 'False',
      reason: 'PVCNotFound',
      message: `PersistentVolumeClaim ${key} not found`,
    }
  const { phase } = claim.status ?? {}
  if (phase === 'Bound') return { type: 'PVCReady', status: 'True', reason: 'PVCBound' }
  return { type: 'PVCReady', status: 'False', reason: phase === 'Pending' ? 'PVCPending' : 'Unknown' }
}

function linkOf(base: string, side: 'internal' | 'external', cert: string, source: ExportSource): object {
  const volumes = (source.claims ?? []).map(({ claim, name, isDisk }) => {
    const at = `${base}/volumes/${claim.metadata.name}`
    const formats = isDisk
      ? [
          { format: 'raw', url: `${at}/disk.img` },
          { format: 'gzip', url: `${at}/disk.img.gz` },
        ]
      : [
          { format: 'dir', url: `${at}/dir/` },
          { format: 'tar.gz', url: `${at}/disk.tar.gz` },
        ]
    return { name, formats }
  })
  const manifests = [
    ...(source.hasMachine ? [{ type: 'all', url: `${base}/${side}/manifests/all` }] : []),
    { type: 'auth-header-secret', url: `${base}/${side}/manifests/secret` },
  ]
  return { cert: cert.trim(), volumes, manifests }
}

export const externalPath = ({ namespace, name }: StoredObject['metadata']): string =>
  `/api/export.kubevirt.io/v1/namespaces/${namespace}/virtualmachineexports/${name}`

export function exportStatus(
  owner: StoredObject,
  source: ExportSource,
  places: ExportPlaces,
  now: number,
): Record<string, any> {
  const { metadata, spec, status: old = {} } = owner
  const isReady = source.claims !== undefined && source.claims.length > 0 && !source.obstacle
  const service = serviceName(metadata.name)
  const links = {
    internal: linkOf(`https://${service}.${metadata.namespace}.svc`, 'internal', places.cert, source),
    ...(places.external && {
      external: linkOf(`https://${places.external}${externalPath(metadata)}`, 'external', places.cert, source),
    }),
  }
  const ready: Verdict = isReady
    ? { type: 'Ready', status: 'True', reason: 'PodReady', message: '' }
    : { type: 'Ready', status: 'False', reason: 'Initializing', message: '', ...source.obstacle }
  const time = formatTime(now)
  let conditions: Condition[] = old.conditions ?? []
  for (const one of [ready, source.condition])
    if (one) conditions = withCondition(conditions, { ...one, lastProbeTime: null }, time)
  return {
    phase: isReady ? 'Ready' : source.skipped ? 'Skipped' : 'Pending',
    links: isReady ? links : {},
    tokenSecretRef: spec.tokenSecretRef ?? tokenSecretName(metadata.name),
    ttlExpirationTime: formatTime(expiresAt(owner)),
    serviceName: service,
    ...(source.machineName && { virtualMachineName: source.machineName }),
    conditions,
  }
}
