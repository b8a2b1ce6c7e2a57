// What a DataImportCron wants to happen now, and what it says of itself. Pure; names, numbers, conditions and texts of CDI
// 1.65 (pkg/controller/dataimportcron-controller.go).

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import {
  bindImmediately,
  desiredDigest,
  importCronLabel,
  lastCronTime,
  pinnedReference,
} from '../kinds/cdi/annotations.ts'
import { type StampedCondition, stamped } from './data-conditions.ts'
import { controllerReference } from './ownership.ts'

const keptByDefault = 3
const suffixLength = 12

export interface CronFacts {
  cron: StoredObject
  /** The DataVolume of the digest that is wanted, if it is there. */
  volume: StoredObject | undefined
  /** Its claim, which may be there without it. */
  claim: StoredObject | undefined
  now: number
}

export const digestOf = (cron: StoredObject): string | undefined => cron.metadata.annotations?.[desiredDigest]

/** 'debian-' and the first 12 characters of the digest. */
export function importName(cron: StoredObject, digest: string): string {
  const text = digest.slice(digest.indexOf(':') + 1)
  return `${cron.spec.managedDataSource}-${text.slice(0, suffixLength)}`
}

const labelled = (cron: StoredObject, labels: object = {}) => ({ ...labels, [importCronLabel]: cron.metadata.name })

const goesWith = ({ spec }: StoredObject): boolean => spec.retentionPolicy === 'None'

/** The DataVolume that imports what the digest names. */
export function importOf(cron: StoredObject, digest: string): ApiObject {
  const { metadata = {}, spec } = cron.spec.template
  const pinned = cron.metadata.annotations?.[pinnedReference]
  const source = spec.source?.registry && pinned ? { registry: { ...spec.source.registry, url: pinned } } : spec.source
  return {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataVolume',
    metadata: {
      name: importName(cron, digest),
      namespace: cron.metadata.namespace!,
      labels: labelled(cron, metadata.labels),
      annotations: { ...metadata.annotations, [bindImmediately]: 'true' },
      ...(goesWith(cron) && { ownerReferences: [controllerReference(cron)] }),
    },
    spec: { ...spec, source },
  }
}

export function sourceOfCron(cron: StoredObject, existing: StoredObject | undefined): ApiObject {
  const imported = cron.status?.lastImportedPVC
  return {
    apiVersion: 'cdi.kubevirt.io/v1beta1',
    kind: 'DataSource',
    ...existing,
    metadata: {
      name: cron.spec.managedDataSource,
      namespace: cron.metadata.namespace!,
      ...(goesWith(cron) && { ownerReferences: [controllerReference(cron)] }),
      ...existing?.metadata,
      labels: labelled(cron, existing?.metadata.labels),
    },
    spec: imported ? { source: { pvc: imported } } : (existing?.spec ?? { source: {} }),
  }
}

/** Imports that are not kept any more: the oldest, and never the last one. */
export function outdated(cron: StoredObject, imports: StoredObject[]): StoredObject[] {
  if (cron.spec.garbageCollect === 'Never') return []
  const last = cron.status?.lastImportedPVC?.name
  const kept = Math.max(cron.spec.importsToKeep ?? keptByDefault, 0)
  const newest = [...imports]
    .filter(({ metadata }) => metadata.name !== last)
    .sort((a, b) => (a.metadata.creationTimestamp < b.metadata.creationTimestamp ? 1 : -1))
  return newest.slice(Math.max(kept - (last ? 1 : 0), 0))
}

export function cronStatus(facts: CronFacts): Record<string, unknown> {
  const { cron, volume, claim, now } = facts
  const digest = digestOf(cron)
  const before = cron.status ?? {}
  const name = digest && importName(cron, digest)
  const isDone = volume ? volume.status?.phase === 'Succeeded' : claim?.status?.phase === 'Bound'
  const current = digest && name ? [{ DataVolumeName: name, Digest: digest }] : undefined
  const time = formatTime(now)
  const isNew = isDone && before.lastImportedPVC?.name !== name
  const executed = cron.metadata.annotations?.[lastCronTime]
  return {
    ...before,
    sourceFormat: 'pvc',
    ...(current && { currentImports: current }),
    ...(executed && { lastExecutionTimestamp: executed }),
    ...(isNew && { lastImportedPVC: { namespace: cron.metadata.namespace, name }, lastImportTimestamp: time }),
    conditions: [progressing(volume, isDone), upToDate(digest, isDone)].map((condition) =>
      stamped(before.conditions ?? [], condition, time),
    ),
  }
}

function progressing(volume: StoredObject | undefined, isDone: boolean): StampedCondition {
  const phase = volume?.status?.phase ?? ''
  const say = (status: 'True' | 'False', reason: string, message: string) =>
    ({ type: 'Progressing', status, reason, message }) as const
  if (!volume || isDone) return say('False', 'NoImport', 'No current import')
  if (phase === 'ImportScheduled') return say('False', 'ImportScheduled', 'Import is scheduled')
  if (phase === 'ImportInProgress') return say('True', 'ImportProgressing', 'Import is progressing')
  return say('False', phase || 'Pending', `Import DataVolume phase ${phase}`)
}

function upToDate(digest: string | undefined, isDone: boolean): StampedCondition {
  const type = 'UpToDate'
  if (!digest) return { type, status: 'False', reason: 'NoDigest', message: 'No source digest' }
  return isDone
    ? { type, status: 'True', reason: 'UpToDate', message: 'Latest import is up to date' }
    : { type, status: 'False', reason: 'ImportProgressing', message: 'Import is progressing' }
}
