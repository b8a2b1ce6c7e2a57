// autoscaling/v1 of a HorizontalPodAutoscaler is v2 with one CPU target; whatever else v2 says goes into annotations
// (pkg/apis/autoscaling/v1/conversion.go, 1.36).

import type { ApiObject } from '../../api/meta.ts'
import { defaultAutoscalerSpec } from './hpa-defaults.ts'

const annotations = {
  metrics: 'autoscaling.alpha.kubernetes.io/metrics',
  current: 'autoscaling.alpha.kubernetes.io/current-metrics',
  behavior: 'autoscaling.alpha.kubernetes.io/behavior',
  conditions: 'autoscaling.alpha.kubernetes.io/conditions',
}

const isCpuTarget = ({ type, resource }: any): boolean =>
  type === 'Resource' && resource?.name === 'cpu' && resource.target?.averageUtilization !== undefined

const set = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

/** The same field names serve targets ('target…') and what was measured ('current…'). */
function metricToOld(metric: any, word: 'target' | 'current'): any {
  const { type } = metric
  const key = type[0].toLowerCase() + type.slice(1)
  const { target = {}, current = {}, metric: identifier = {}, describedObject, name, container } = metric[key] ?? {}
  const { value, averageValue, averageUtilization } = word === 'target' ? target : current
  const { name: metricName, selector } = identifier
  switch (type) {
    case 'Object':
      return {
        type,
        object: set({ target: describedObject, metricName, selector, averageValue, [`${word}Value`]: value ?? '0' }),
      }
    case 'Pods':
      return { type, pods: set({ metricName, selector, [`${word}AverageValue`]: averageValue }) }
    case 'External':
      return {
        type,
        external: set({
          ...{ metricName, metricSelector: selector },
          ...{ [`${word}Value`]: value, [`${word}AverageValue`]: averageValue },
        }),
      }
    default:
      return {
        type,
        [key]: set({
          ...{ name, container },
          ...{ [`${word}AverageUtilization`]: averageUtilization, [`${word}AverageValue`]: averageValue },
        }),
      }
  }
}

function metricFromOld(metric: any, word: 'target' | 'current'): any {
  const { type = '' } = metric
  const key = type ? type[0].toLowerCase() + type.slice(1) : ''
  const old = metric[key] ?? {}
  const value = old[`${word}Value`]
  const averageValue = type === 'Object' ? old.averageValue : old[`${word}AverageValue`]
  const averageUtilization = old[`${word}AverageUtilization`]
  const selector = type === 'External' ? old.metricSelector : old.selector
  const isUnused = type === 'Object' && averageValue !== undefined && value === '0'
  const amounts = set({ value: isUnused ? undefined : value, averageValue, averageUtilization })
  const kind = averageUtilization !== undefined ? 'Utilization' : averageValue !== undefined ? 'AverageValue' : 'Value'
  const measured = word === 'target' ? { target: { type: kind, ...amounts } } : { current: amounts }
  const identity =
    type === 'Resource' || type === 'ContainerResource'
      ? set({ name: old.name, container: old.container })
      : { metric: set({ name: old.metricName, selector }) }
  return { type, [key]: { ...identity, ...measured, ...(type === 'Object' && { describedObject: old.target }) } }
}

const parsed = (text: string | undefined): any => {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    // Somebody wrote the annotation by hand: it says nothing.
    return undefined
  }
}

function withoutOurs(all: Record<string, string> = {}): Record<string, string> {
  const ours = new Set(Object.values(annotations))
  return Object.fromEntries(Object.entries(all).filter(([name]) => !ours.has(name)))
}

/** v1 → v2. */
export function autoscalerToStored(object: ApiObject): ApiObject {
  const { metadata, spec = {}, status = {} } = object
  const noted = metadata.annotations ?? {}
  const { targetCPUUtilizationPercentage: percent, ...rest } = spec
  const others = parsed(noted[annotations.metrics])
  const metrics = Array.isArray(others) ? others.map((each) => metricFromOld(each, 'target')) : []
  if (percent !== undefined)
    metrics.push({
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } },
    })
  const behavior = parsed(noted[annotations.behavior])
  const { currentCPUUtilizationPercentage: _, ...counts } = status
  const current = parsed(noted[annotations.current])
  const conditions = parsed(noted[annotations.conditions])
  const stored: ApiObject = {
    ...object,
    apiVersion: 'autoscaling/v2',
    metadata: withAnnotations(metadata, withoutOurs(noted)),
    spec: { ...rest, metrics, ...(behavior && { behavior }) },
    status: {
      ...counts,
      ...(Array.isArray(current) && { currentMetrics: current.map((each) => metricFromOld(each, 'current')) }),
      ...(Array.isArray(conditions) && { conditions }),
    },
  }
  defaultAutoscalerSpec(stored.spec)
  return stored
}

/** v2 → v1. */
export function autoscalerFromStored(object: ApiObject): ApiObject {
  const { metadata, spec = {}, status = {} } = object
  const { metrics = [], behavior, ...rest } = spec
  const { currentMetrics = [], conditions = [], ...counts } = status
  const others = metrics.filter((each: any) => !isCpuTarget(each))
  const noted: Record<string, string> = withoutOurs(metadata.annotations)
  const note = (name: string, value: unknown) => {
    noted[name] = JSON.stringify(value)
  }
  if (others.length)
    note(
      annotations.metrics,
      others.map((each: any) => metricToOld(each, 'target')),
    )
  if (currentMetrics.length)
    note(
      annotations.current,
      currentMetrics.map((each: any) => metricToOld(each, 'current')),
    )
  if (behavior) note(annotations.behavior, behavior)
  if (conditions.length) note(annotations.conditions, conditions)
  const percent = metrics.findLast(isCpuTarget)?.resource.target.averageUtilization
  const measured = currentMetrics.findLast(({ resource }: any) => resource?.name === 'cpu')
  const current = measured?.resource.current?.averageUtilization
  return {
    ...object,
    apiVersion: 'autoscaling/v1',
    metadata: withAnnotations(metadata, noted),
    spec: { ...rest, ...(percent !== undefined && { targetCPUUtilizationPercentage: percent }) },
    status: { ...counts, ...(current !== undefined && { currentCPUUtilizationPercentage: current }) },
  }
}

function withAnnotations(metadata: ApiObject['metadata'], noted: Record<string, string>): ApiObject['metadata'] {
  const { annotations: _, ...rest } = metadata
  return Object.keys(noted).length ? { ...rest, annotations: noted } : rest
}
