// The columns of a HorizontalPodAutoscaler, as upstream's printer words them (pkg/printers, 1.36).

import type { Column } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { none, text, unset } from '../columns.ts'

const shown = 2
const unknown = '<unknown>'

function metricText(spec: any, status: any): string {
  const { type } = spec
  const key = type ? type[0].toLowerCase() + type.slice(1) : ''
  const { name, target = {} } = spec[key] ?? {}
  const current = status?.[key]?.current
  if (type === 'Resource' || type === 'ContainerResource') {
    if (target.averageValue !== undefined) return `${name}: ${current?.averageValue ?? unknown}/${target.averageValue}`
    const percent = (value: number | undefined, otherwise: string) => (value === undefined ? otherwise : `${value}%`)
    return `${name}: ${percent(current?.averageUtilization, unknown)}/${percent(target.averageUtilization, '<auto>')}`
  }
  if (type === 'Pods') return `${current?.averageValue ?? unknown}/${target.averageValue}`
  if (type !== 'Object' && type !== 'External') return '<unknown type>'
  if (target.averageValue !== undefined) return `${current?.averageValue ?? unknown}/${target.averageValue} (avg)`
  return `${current?.value ?? unknown}/${target.value}`
}

function targets({ spec, status }: ApiObject): string {
  const metrics: any[] = spec?.metrics ?? []
  if (!metrics.length) return none
  const texts = metrics.slice(0, shown).map((metric, index) => metricText(metric, status?.currentMetrics?.[index]))
  const more = metrics.length - shown
  return texts.join(', ') + (more > 0 ? ` + ${more} more...` : '')
}

/** `asStored`: the object in the version that has all fields. */
export const autoscalerColumns = (asStored: (object: ApiObject) => ApiObject): Column[] => [
  text('Reference', ({ spec }) => `${spec?.scaleTargetRef?.kind ?? ''}/${spec?.scaleTargetRef?.name ?? ''}`),
  text('Targets', (object) => targets(asStored(object))),
  text('MinPods', ({ spec }) => (spec?.minReplicas === undefined ? unset : String(spec.minReplicas))),
  text('MaxPods', ({ spec }) => String(spec?.maxReplicas ?? 0)),
  text('Replicas', ({ status }) => String(status?.currentReplicas ?? 0)),
  ageColumn,
]
