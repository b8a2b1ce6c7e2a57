// From what a DataVolume is cloned: a claim or a snapshot that it names itself or by a DataSource. Who may clone from where is checked
// when the DataVolume, the machine or the DataSource is written. Pure.

import type { StoredObject } from '../../api/meta.ts'

export interface CloneSource {
  namespace: string
  name: string
  /** It is a VolumeSnapshot, not a claim. */
  isSnapshot?: true
}

/** What a `source` names, `own` being the namespace of the object that it stands in. */
function named(source: any, own: string): CloneSource | undefined {
  const { pvc, snapshot } = source ?? {}
  if (pvc) return { namespace: pvc.namespace || own, name: pvc.name }
  return snapshot && { namespace: snapshot.namespace || own, name: snapshot.name, isSnapshot: true }
}

/** As it stands in the `source` of a DataVolume. */
export const sourceField = ({ namespace, name, isSnapshot }: CloneSource): object =>
  isSnapshot ? { snapshot: { namespace, name } } : { pvc: { namespace, name } }

export type SourceProblem = { problem: { reason: string; message: string } }

/** undefined when it is no clone. A DataSource may stand for another one, but not that for a third (CDI 1.65). */
export function resolveSource(
  volume: StoredObject,
  dataSource: (key: string) => StoredObject | undefined,
): CloneSource | SourceProblem | undefined {
  const { source, sourceRef } = volume.spec
  const own = volume.metadata.namespace!
  if (!sourceRef) return named(source, own)
  const namespace = sourceRef.namespace || own
  const found = dataSource(`${namespace}/${sourceRef.name}`)
  const last = found?.spec?.source?.dataSource
    ? dataSource(`${found.spec.source.dataSource.namespace || namespace}/${found.spec.source.dataSource.name}`)
    : found
  if (!last)
    return {
      problem: { reason: 'CloneWithoutSource', message: `The source DataSource ${sourceRef.name} doesn't exist` },
    }
  return (
    named(last.spec?.source, last.metadata.namespace!) ?? {
      problem: { reason: 'CloneWithoutSource', message: `The DataSource ${sourceRef.name} has no source yet` },
    }
  )
}
