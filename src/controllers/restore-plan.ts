// Restoring a machine from a snapshot: names, claims, and the machine that comes of it. Pure; names and texts as in
// KubeVirt 1.9 (pkg/storage/snapshot/restore.go).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { applyJsonPatch } from '../api/patch/json.ts'
import { savedAnnotation } from '../kinds/kubevirt/hibernation.ts'
import { filledAnnotation, filledFromAnnotation, wantsMemory } from '../kinds/snapshot/memory.ts'
import { controllerReference } from './ownership.ts'
import { selectedNode } from './volume-matching.ts'

export const restoreFinalizer = 'snapshot.kubevirt.io/vmrestore-protection'
export const restoreName = 'restore.kubevirt.io/name'
const lastRestore = 'restore.kubevirt.io/lastRestoreUID'
/** The claim belonged to the machine that was saved, and is to belong to the restored one. */
const ownedByMachine = 'restore.kubevirt.io/owned-by-vm'

/** Of a claim, these do not hold for its copy. */
const ownAnnotations = [
  'pv.kubernetes.io',
  'volume.beta.kubernetes.io',
  'cdi.kubevirt.io',
  'volume.kubernetes.io',
  'k8s.io/CloneRequest',
  'k8s.io/CloneOf',
  'tandem.dev/filled',
]

export interface VolumeRestore {
  volumeName: string
  persistentVolumeClaim: string
  volumeSnapshotName: string
}

const mark = ({ metadata: { name, uid } }: StoredObject): string => `${name}-${uid}`

/** The object was made by this restore. */
export const isOfRestore = (restore: StoredObject, object: StoredObject): boolean =>
  object.metadata.annotations?.[lastRestore] === mark(restore)

export const isFailedRestore = ({ status }: StoredObject): boolean =>
  status?.conditions?.some((one: any) => one.type === 'Failure') ?? false

export const isOver = (restore: StoredObject): boolean => restore.status?.complete === true || isFailedRestore(restore)

const overrideOf = ({ spec }: StoredObject, volumeName: string): any =>
  spec.volumeRestoreOverrides?.find((one: any) => one.volumeName === volumeName)

function claimName(restore: StoredObject, volumeName: string, former: string): string {
  const { volumeRestorePolicy, target } = restore.spec
  const given = overrideOf(restore, volumeName)?.restoreName
  if (given) return given
  if (volumeRestorePolicy === 'InPlace') return former
  if (volumeRestorePolicy === 'PrefixTargetName') return `${target.name}-${volumeName}`
  return `restore-${restore.metadata.uid}-${volumeName}`
}

export const volumeRestores = (restore: StoredObject, content: StoredObject): VolumeRestore[] =>
  (content.spec.volumeBackups ?? []).map(({ volumeName, persistentVolumeClaim, volumeSnapshotName }: any) => ({
    volumeName,
    persistentVolumeClaim: claimName(restore, volumeName, persistentVolumeClaim.metadata.name),
    volumeSnapshotName: volumeSnapshotName ?? '',
  }))

const without = (record: Record<string, string> = {}, prefixes: string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(record).filter(([key]) => !prefixes.some((prefix) => key.startsWith(prefix))))

/** Annotations of a saved machine that a new one has too. */
export const inherited = (annotations: Record<string, string> | undefined): Record<string, string> =>
  without(annotations, ['tandem.dev/', 'kubectl.kubernetes.io/last-applied', lastRestore])

/** `target`: the machine, as far as it exists. */
export function restoredClaim(
  restore: StoredObject,
  content: StoredObject,
  { volumeName, persistentVolumeClaim: name }: VolumeRestore,
  target: StoredObject | undefined,
  nodeName: string,
): ApiObject {
  const backup = content.spec.volumeBackups.find((one: any) => one.volumeName === volumeName)
  const { metadata, spec } = backup.persistentVolumeClaim
  const source = content.spec.source.virtualMachine.metadata
  const { labels, annotations } = overrideOf(restore, volumeName) ?? {}
  const keepsOwner = restore.spec.volumeOwnershipPolicy !== 'None'
  const belonged = metadata.ownerReferences?.some((owner: any) => owner.uid === source.uid)
  const { accessModes, resources, storageClassName, volumeMode } = spec
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name,
      namespace: restore.metadata.namespace!,
      labels: {
        ...metadata.labels,
        'restore.kubevirt.io/source-vm-name': source.name,
        'restore.kubevirt.io/source-vm-namespace': source.namespace,
        ...labels,
      },
      annotations: {
        ...without(metadata.annotations, ownAnnotations),
        [restoreName]: restore.metadata.name,
        [lastRestore]: mark(restore),
        ...annotations,
        // It is filled before anything uses it, so it is bound without waiting for a user.
        [selectedNode]: nodeName,
        [filledFromAnnotation]: `${content.metadata.name}/${volumeName}`,
        ...(keepsOwner && !target && belonged && { [ownedByMachine]: restore.metadata.name }),
      },
      ...(keepsOwner && target && { ownerReferences: [controllerReference(target)] }),
    },
    spec: { accessModes, resources, storageClassName, volumeMode },
  }
}

/** What makes the claim of a new machine its own; undefined when it is nobody's or somebody's already. */
export function adoption(restore: StoredObject, claim: StoredObject, machine: StoredObject): object | undefined {
  const { annotations, ownerReferences, resourceVersion } = claim.metadata
  if (annotations?.[ownedByMachine] !== restore.metadata.name || ownerReferences?.length) return undefined
  return {
    metadata: {
      resourceVersion,
      annotations: { [ownedByMachine]: null },
      ownerReferences: [controllerReference(machine)],
    },
  }
}

export const isFilled = (claim: StoredObject): boolean => claim.metadata.annotations?.[filledAnnotation] === 'true'

/** The machine as it was saved, on the restored claims; `target` is what it replaces. */
export function restoredMachine(
  restore: StoredObject,
  content: StoredObject,
  target: StoredObject | undefined,
): ApiObject {
  const saved = content.spec.source.virtualMachine
  const claims = new Map<string, string>(
    (restore.status?.restores ?? []).map((one: VolumeRestore) => [one.volumeName, one.persistentVolumeClaim]),
  )
  const spec = structuredClone(saved.spec)
  const { spec: instance } = spec.template
  instance.volumes = instance.volumes
    ?.filter((volume: any) => !volume.memoryDump)
    .map((volume: any) => {
      const name = claims.get(volume.name)
      return name
        ? { name: volume.name, persistentVolumeClaim: { ...volume.persistentVolumeClaim, claimName: name } }
        : volume
    })
  // Its disks are restored claims now: nothing is to make them anew.
  delete spec.dataVolumeTemplates
  const marks: Record<string, string> = {
    [lastRestore]: mark(restore),
    ...(wantsMemory(restore) && { [savedAnnotation]: 'true', [filledFromAnnotation]: content.metadata.name }),
  }
  if (target) return replaced(target, spec, marks)
  delete spec.running
  spec.runStrategy = 'Halted'
  const { labels, annotations } = saved.metadata
  const machine: ApiObject = {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: {
      name: restore.spec.target.name,
      namespace: restore.metadata.namespace!,
      ...(labels && { labels }),
      annotations: { ...inherited(annotations), ...marks },
    },
    spec,
  }
  const patches = (restore.spec.patches ?? []).map((patch: string) => JSON.parse(patch))
  return patches.length ? applyJsonPatch(machine, patches) : machine
}

/** An existing machine keeps its run strategy. */
function replaced(target: StoredObject, spec: any, marks: Record<string, string>): StoredObject {
  const { running, runStrategy } = target.spec
  for (const field of ['running', 'runStrategy']) delete spec[field]
  Object.assign(spec, running === undefined ? { runStrategy } : { running: false })
  const annotations = { ...target.metadata.annotations }
  // What was saved before does not belong to these disks.
  for (const name of [savedAnnotation, filledFromAnnotation, filledAnnotation]) delete annotations[name]
  Object.assign(annotations, marks)
  return { ...target, metadata: { ...target.metadata, annotations }, spec }
}
