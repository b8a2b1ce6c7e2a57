// DataSource: whether what it names is there. Conditions and texts: CDI 1.65 (pkg/controller/datasource-controller.go).

import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { type StampedCondition, stamped } from './data-conditions.ts'
import { semanticallyEqual } from './equality.ts'
import { dataSources, dataVolumes, persistentVolumeClaims, volumeSnapshots } from './resources.ts'

export interface SourceFacts {
  source: StoredObject
  dataSource(key: string): StoredObject | undefined
  claim(key: string): StoredObject | undefined
  volume(key: string): StoredObject | undefined
  snapshot(key: string): StoredObject | undefined
  now: number
}

interface Verdict {
  ready: boolean
  reason: string
  message: string
  source?: object
}

const missing = (reason: string, message: string): Verdict => ({ ready: false, reason, message })

function verdict({ source, dataSource, claim, volume, snapshot }: SourceFacts): Verdict {
  const own = source.metadata.namespace!
  let last = source
  const other = source.spec?.source?.dataSource
  if (other) {
    const namespace = other.namespace || own
    if (namespace !== own)
      return missing('CrossNamespaceReference', 'DataSource cannot reference a DataSource in another namespace')
    if (other.name === source.metadata.name) return missing('SelfReference', 'DataSource cannot self-reference')
    const found = dataSource(`${namespace}/${other.name}`)
    if (!found) return missing('NotFound', `datasources.cdi.kubevirt.io "${other.name}" not found`)
    if (found.spec?.source?.dataSource)
      return missing('MaxReferenceDepthReached', 'DataSource reference chain exceeds maximum depth of 1')
    last = found
  }
  const kept = last.spec?.source?.snapshot
  if (kept) return ofSnapshot(kept, snapshot(`${kept.namespace || own}/${kept.name}`))
  const named = last.spec?.source?.pvc
  if (!named) return missing('NoSource', 'No source PVC set')
  const key = `${named.namespace || own}/${named.name}`
  const made = volume(key)
  if (made && made.status?.phase !== 'Succeeded') {
    const phase = made.status?.phase ?? ''
    return missing(phase, `Import DataVolume phase ${phase}`)
  }
  if (!made && !claim(key)) return missing('NotFound', 'PVC not found')
  return ready({ pvc: named })
}

const ready = (source: object): Verdict => ({
  ready: true,
  reason: 'Ready',
  message: 'DataSource is ready to be consumed',
  source,
})

function ofSnapshot(named: object, found: StoredObject | undefined): Verdict {
  if (!found) return missing('NotFound', 'Snapshot not found')
  return found.status?.readyToUse === true
    ? ready({ snapshot: named })
    : missing('SnapshotNotReady', 'Snapshot phase is not ready')
}

export function sourceStatus(facts: SourceFacts): Record<string, unknown> {
  const { ready, reason, message, source } = verdict(facts)
  const condition: StampedCondition = { type: 'Ready', status: ready ? 'True' : 'False', reason, message }
  const before = facts.source.status?.conditions ?? []
  return { source: source ?? {}, conditions: [stamped(before, condition, formatTime(facts.now))] }
}

export const dataSource: ControllerDefinition = {
  name: 'datasource',
  start(context) {
    const { client, informers, clock } = context
    const sources = informers.informer(dataSources)
    const claims = informers.informer(persistentVolumeClaims)
    const volumes = informers.informer(dataVolumes)
    const snapshots = informers.informer(volumeSnapshots)
    const keyOf =
      (kind: 'pvc' | 'snapshot') =>
      ({ spec, metadata }: StoredObject): string[] => {
        const named = spec?.source?.[kind]
        return named ? [`${named.namespace || metadata.namespace}/${named.name}`] : []
      }
    sources.addIndex('claim', keyOf('pvc'))
    sources.addIndex('snapshot', keyOf('snapshot'))
    const referrers = (source: StoredObject): string[] =>
      sources
        .list(source.metadata.namespace)
        .filter(({ spec }) => spec?.source?.dataSource?.name === source.metadata.name)
        .map(objectKey)
    const naming = (index: string) => (object: StoredObject) =>
      sources.byIndex(index, objectKey(object)).flatMap((source) => [objectKey(source), ...referrers(source)])

    async function sync(key: string): Promise<undefined> {
      const source = sources.get(key)
      if (!source || source.metadata.deletionTimestamp) return
      const status = sourceStatus({
        source,
        dataSource: (other) => sources.get(other),
        claim: (other) => claims.get(other),
        volume: (other) => volumes.get(other),
        snapshot: (other) => snapshots.get(other),
        now: clock.now(),
      })
      if (!semanticallyEqual(status, source.status)) await client.update(dataSources, { ...source, status })
    }

    return reconcileOn(
      context,
      'datasource',
      [
        { ref: dataSources, keys: (source) => [...itself(source), ...referrers(source)] },
        { ref: persistentVolumeClaims, keys: naming('claim') },
        { ref: dataVolumes, keys: naming('claim') },
        { ref: volumeSnapshots, keys: naming('snapshot') },
      ],
      sync,
      2,
    )
  },
}
