// DataSource: whether what it names is there. Conditions and texts: CDI 1.65 (pkg/controller/datasource-controller.go).

import type { StoredObject } from '../api/meta.ts'
import { objectKey } from '../api/meta.ts'
import { formatTime } from '../api/time.ts'
import { type ControllerDefinition, itself, reconcileOn } from './controller.ts'
import { type StampedCondition, stamped } from './data-conditions.ts'
import { semanticallyEqual } from './equality.ts'
import { dataSources, dataVolumes, persistentVolumeClaims } from './resources.ts'

export interface SourceFacts {
  source: StoredObject
  dataSource(key: string): StoredObject | undefined
  claim(key: string): StoredObject | undefined
  volume(key: string): StoredObject | undefined
  now: number
}

interface Verdict {
  ready: boolean
  reason: string
  message: string
  source?: object
}

const missing = (reason: string, message: string): Verdict => ({ ready: false, reason, message })

function verdict({ source, dataSource, claim, volume }: SourceFacts): Verdict {
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
  const named = last.spec?.source?.pvc
  if (!named) return missing('NoSource', 'No source PVC set')
  const key = `${named.namespace || own}/${named.name}`
  const made = volume(key)
  if (made && made.status?.phase !== 'Succeeded') {
    const phase = made.status?.phase ?? ''
    return missing(phase, `Import DataVolume phase ${phase}`)
  }
  if (!made && !claim(key)) return missing('NotFound', 'PVC not found')
  const text = 'DataSource is ready to be consumed'
  return { ready: true, reason: 'Ready', message: text, source: { pvc: named } }
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
    const claimOf = ({ spec, metadata }: StoredObject): string[] => {
      const pvc = spec?.source?.pvc
      return pvc ? [`${pvc.namespace || metadata.namespace}/${pvc.name}`] : []
    }
    sources.addIndex('claim', claimOf)
    const referrers = (source: StoredObject): string[] =>
      sources
        .list(source.metadata.namespace)
        .filter(({ spec }) => spec?.source?.dataSource?.name === source.metadata.name)
        .map(objectKey)
    const naming = (object: StoredObject): string[] =>
      sources.byIndex('claim', objectKey(object)).flatMap((source) => [objectKey(source), ...referrers(source)])

    async function sync(key: string): Promise<undefined> {
      const source = sources.get(key)
      if (!source || source.metadata.deletionTimestamp) return
      const status = sourceStatus({
        source,
        dataSource: (other) => sources.get(other),
        claim: (other) => claims.get(other),
        volume: (other) => volumes.get(other),
        now: clock.now(),
      })
      if (!semanticallyEqual(status, source.status)) await client.update(dataSources, { ...source, status })
    }

    return reconcileOn(
      context,
      'datasource',
      [
        { ref: dataSources, keys: (source) => [...itself(source), ...referrers(source)] },
        { ref: persistentVolumeClaims, keys: naming },
        { ref: dataVolumes, keys: naming },
      ],
      sync,
      2,
    )
  },
}
