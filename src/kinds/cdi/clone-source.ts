// From what a DataVolume is cloned: a claim that it names itself or by a DataSource. Who may clone from where is checked
// when the DataVolume, the machine or the DataSource is written. Pure.

import type { StoredObject } from '../../api/meta.ts'

export interface CloneSource {
  namespace: string
  name: string
}

export type SourceProblem = { problem: { reason: string; message: string } }

/** undefined when it is no clone. A DataSource may stand for another one, but not that for a third (CDI 1.65). */
export function resolveSource(
  volume: StoredObject,
  dataSource: (key: string) => StoredObject | undefined,
): CloneSource | SourceProblem | undefined {
  const { source, sourceRef } = volume.spec
  const own = volume.metadata.namespace!
  if (!sourceRef) return source?.pvc && { namespace: source.pvc.namespace || own, name: source.pvc.name }
  const namespace = sourceRef.namespace || own
  const found = dataSource(`${namespace}/${sourceRef.name}`)
  const last = found?.spec?.source?.dataSource
    ? dataSource(`${found.spec.source.dataSource.namespace || namespace}/${found.spec.source.dataSource.name}`)
    : found
  if (!last)
    return {
      problem: { reason: 'CloneWithoutSource', message: `The source DataSource ${sourceRef.name} doesn't exist` },
    }
  const claim = last.spec?.source?.pvc
  if (!claim)
    return {
      problem: { reason: 'CloneWithoutSource', message: `The DataSource ${sourceRef.name} has no source yet` },
    }
  return { namespace: claim.namespace || last.metadata.namespace!, name: claim.name }
}
