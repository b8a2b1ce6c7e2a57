// What the metrics of a HorizontalPodAutoscaler ask for: read from the metrics APIs, with upstream's texts for what is
// missing (pkg/controller/podautoscaler, 1.36).

import { isApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { selectorMatcher, selectorText } from '../api/selector.ts'
import type { Client } from '../client/client.ts'
import {
  type Asked,
  averageReplicas,
  groupPods,
  type Measured,
  milli,
  podRequests,
  type Tolerances,
  utilizationReplicas,
  valueReplicas,
} from './hpa-replicas.ts'
import { moment } from './moment.ts'
import { isReady } from './pod-state.ts'

export interface MetricQuestion {
  namespace: string
  /** Of the Pods, as text. */
  selector: string
  pods: StoredObject[]
  current: number
  tolerances: Tolerances
  now: number
}

export interface MetricAnswer {
  replicas: number
  /** How events name the metric. */
  name: string
  /** For status.currentMetrics. */
  status: Record<string, unknown>
}

/** Why a metric says nothing, with the reason for the condition. */
export class MetricFailure extends Error {
  readonly reason: string
  constructor(reason: string, message: string) {
    super(message)
    this.reason = reason
  }
}

const quantity = (thousandths: number): string =>
  thousandths % 1000 === 0 ? String(thousandths / 1000) : `${Math.ceil(thousandths)}m`

const message = (error: unknown): string => (error as Error).message

/** '30s', '1m0s' → ms */
function durationMs(text: string | undefined): number {
  const [, minutes = '0', seconds = '0'] = /^(?:(\d+)m)?(?:([\d.]+)s)?$/.exec(text ?? '') ?? []
  return (Number(minutes) * 60 + Number(seconds)) * 1000
}

type Item = ApiObject & { timestamp?: string; window?: string; containers?: any[]; value?: string }

export async function askMetric(client: Client, metric: any, question: MetricQuestion): Promise<MetricAnswer> {
  switch (metric.type) {
    case 'Resource':
      return askResource(client, metric.resource, undefined, question)
    case 'ContainerResource':
      return askResource(client, metric.containerResource, metric.containerResource.container, question)
    case 'Pods':
      return askPods(client, metric.pods, question)
    case 'Object':
      return askObject(client, metric.object, question)
    case 'External':
      return askExternal(client, metric.external, question)
    default:
      throw new MetricFailure('InvalidMetricSourceType', `unknown metric source type ${JSON.stringify(metric.type)}`)
  }
}

async function askResource(
  client: Client,
  source: any,
  container: string | undefined,
  question: MetricQuestion,
): Promise<MetricAnswer> {
  const { name, target } = source
  const type = container === undefined ? 'Resource' : 'ContainerResource'
  const byUsage = target.averageUtilization !== undefined
  try {
    const groups = groupPods(
      question.pods,
      await readUsage(client, name, container, question),
      name === 'cpu',
      question.now,
    )
    const { current, tolerances, pods } = question
    const asked: Asked = byUsage
      ? utilizationReplicas(
          current,
          target.averageUtilization,
          groups,
          podRequests(
            pods.filter((pod) => groups.metrics.has(pod.metadata.name) || groups.missing.includes(pod)),
            name,
            container,
          ),
          tolerances,
        )
      : averageReplicas(current, milli(target.averageValue), groups, tolerances)
    const measured = {
      averageValue: quantity(asked.average),
      ...(asked.utilization !== undefined && { averageUtilization: asked.utilization }),
    }
    const key = container === undefined ? 'resource' : 'containerResource'
    const where = container === undefined ? '' : ` container`
    return {
      replicas: asked.replicas,
      name: `${name}${where} resource${byUsage ? ' utilization (percentage of request)' : ''}`,
      status: { type, [key]: { name, ...(container && { container }), current: measured } },
    }
  } catch (error) {
    const what = byUsage ? `${name} utilization` : `${name} resource metric value`
    throw new MetricFailure(`FailedGet${type}Metric`, `failed to get ${what}: ${message(error)}`)
  }
}

async function readUsage(
  client: Client,
  name: string,
  container: string | undefined,
  { namespace, selector }: MetricQuestion,
): Promise<Map<string, Measured>> {
  const ref = { group: 'metrics.k8s.io', version: 'v1beta1', resource: 'pods' }
  const { items } = await client.list<Item>(ref, { namespace, labelSelector: selector }).catch((error) => {
    const text = isApiError(error, 'NotFound')
      ? 'the server could not find the requested resource (get pods.metrics.k8s.io)'
      : message(error)
    throw new Error(
      `unable to get metrics for resource ${name}: unable to fetch metrics from resource metrics API: ${text}`,
    )
  })
  if (!items.length)
    throw new Error(`unable to get metrics for resource ${name}: no metrics returned from resource metrics API`)
  const found = new Map<string, Measured>()
  for (const { metadata, containers = [], timestamp, window } of items) {
    const counted = containers.filter((each) => container === undefined || each.name === container)
    if (!counted.length || counted.some(({ usage }) => usage?.[name] === undefined)) continue
    const value = counted.reduce((total, { usage }) => total + milli(usage[name]), 0)
    found.set(metadata.name!, { value, at: moment(timestamp), windowMs: durationMs(window) })
  }
  return found
}

const labelSelectorOf = (selector: any): string => (selector ? selectorText(selectorMatcher(selector)) : '')

/** Custom metrics come from an adapter that registers custom.metrics.k8s.io; without one there is nothing to ask. */
async function readCustom(
  client: Client,
  resource: string,
  { name, selector }: any,
  options: { namespace: string; labelSelector?: string },
): Promise<Item[]> {
  const ref = { group: 'custom.metrics.k8s.io', version: 'v1beta2', resource: `${resource}/${name}` }
  const metricSelector = labelSelectorOf(selector)
  try {
    const { items } = await client.list<Item>(ref, options)
    if (items.length) return items
  } catch (error) {
    const text = isApiError(error, 'NotFound')
      ? 'no custom metrics API (custom.metrics.k8s.io) registered'
      : message(error)
    throw new Error(`unable to fetch metrics from custom metrics API: ${text}`)
  }
  throw new Error(`no metrics returned from custom metrics API${metricSelector && ` for ${metricSelector}`}`)
}

async function askPods(client: Client, { metric, target }: any, question: MetricQuestion): Promise<MetricAnswer> {
  const { namespace, selector, current, tolerances, pods, now } = question
  try {
    const items = await readCustom(client, 'pods/*', metric, { namespace, labelSelector: selector })
    const values = items.map(({ describedObject, value, timestamp }) => {
      const measured: Measured = { value: milli(value), at: moment(timestamp), windowMs: 0 }
      return [describedObject?.name as string, measured] as const
    })
    const groups = groupPods(pods, new Map(values), false, now)
    const asked = averageReplicas(current, milli(target.averageValue), groups, tolerances)
    const measured = { averageValue: quantity(asked.average) }
    return {
      replicas: asked.replicas,
      name: `pods metric ${metric.name}`,
      status: { type: 'Pods', pods: { metric, current: measured } },
    }
  } catch (error) {
    const text = `failed to get pods metric value: unable to get metric ${metric.name}: ${message(error)}`
    throw new MetricFailure('FailedGetPodsMetric', text)
  }
}

const readyCount = (pods: StoredObject[]): number =>
  pods.filter((pod) => pod.status?.phase === 'Running' && isReady(pod)).length

const targetOf = (target: any): { value: number } | { average: number } =>
  target.averageValue === undefined ? { value: milli(target.value) } : { average: milli(target.averageValue) }

function measuredOf(target: any, value: number, current: number): Record<string, string> {
  return target.averageValue === undefined
    ? { value: quantity(value) }
    : { averageValue: quantity(current ? value / current : value) }
}

async function askObject(client: Client, source: any, question: MetricQuestion): Promise<MetricAnswer> {
  const { metric, target, describedObject } = source
  const { namespace, current, tolerances, pods } = question
  const subject = `${describedObject.kind.toLowerCase()}s/${describedObject.name}`
  try {
    const [found] = await readCustom(client, subject, metric, { namespace })
    const value = milli(found!.value)
    return {
      replicas: valueReplicas(current, readyCount(pods), value, targetOf(target), tolerances),
      name: `${describedObject.kind} metric ${metric.name}`,
      status: { type: 'Object', object: { metric, describedObject, current: measuredOf(target, value, current) } },
    }
  } catch (error) {
    const where = `${describedObject.kind} on ${namespace} ${describedObject.name}`
    const text = `failed to get object metric value: unable to get metric ${metric.name}: ${where}: ${message(error)}`
    throw new MetricFailure('FailedGetObjectMetric', text)
  }
}

async function askExternal(client: Client, { metric, target }: any, question: MetricQuestion): Promise<MetricAnswer> {
  const { namespace, current, tolerances, pods } = question
  const labelSelector = labelSelectorOf(metric.selector)
  const ref = { group: 'external.metrics.k8s.io', version: 'v1beta1', resource: metric.name }
  try {
    const { items } = await client.list<Item>(ref, { namespace, ...(labelSelector && { labelSelector }) })
    const value = items.reduce((total, item) => total + milli(item.value), 0)
    return {
      replicas: valueReplicas(current, readyCount(pods), value, targetOf(target), tolerances),
      name: `external metric ${metric.name}(${labelSelector || 'nil'})`,
      status: { type: 'External', external: { metric, current: measuredOf(target, value, current) } },
    }
  } catch (error) {
    const cause = isApiError(error, 'NotFound')
      ? `the server could not find the requested resource (get ${metric.name}.external.metrics.k8s.io)`
      : message(error)
    const subject = `unable to get external metric ${namespace}/${metric.name}/${labelSelector || 'nil'}`
    const api = 'unable to fetch metrics from external metrics API'
    const text = `failed to get external metric ${metric.name}: ${subject}: ${api}: ${cause}`
    throw new MetricFailure('FailedGetExternalMetric', text)
  }
}
