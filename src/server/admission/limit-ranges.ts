// LimitRanger: Pods get what a LimitRange presets, and Pods and claims stay within what it allows
// (plugin/pkg/admission/limitranger, 1.36).

import type { ApiObject } from '../../api/meta.ts'
import { formatQuantity, type Quantity, quantityMilli } from '../../api/quantity.ts'
import { type Amounts, amountsOf, podAmounts, quantityFrom } from '../../kinds/core/pod-resources.ts'
import { forbiddenObject } from '../auth/authz.ts'
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts'
import type { ByNamespace } from './by-namespace.ts'

type Limit = Record<string, any>

const annotation = 'kubernetes.io/limit-ranger'

/** Containers of a Pod do not change after it was made, except by a resize. */
function concerns({ operation, resource, subresource, old }: AdmissionRequest): boolean {
  if (operation !== 'CREATE' && operation !== 'UPDATE') return false
  if (old?.metadata.deletionTimestamp) return false
  if (resource.groupResource === 'pods') return operation === 'CREATE' ? subresource === '' : subresource === 'resize'
  return resource.groupResource === 'persistentvolumeclaims' && subresource === ''
}

const limitsOf = (ranges: ByNamespace, namespace: string): Limit[][] =>
  ranges(namespace).map((range) => range.spec?.limits ?? [])

export const limitRanger = (ranges: ByNamespace): AdmissionPlugin => ({
  name: 'LimitRanger',
  resources: ['pods', 'persistentvolumeclaims'],
  admit(request) {
    if (!concerns(request) || request.resource.groupResource !== 'pods') return
    for (const limits of limitsOf(ranges, request.namespace)) preset(request.object!, limits)
  },
  validate(request) {
    if (!concerns(request)) return
    const { resource, name, object } = request
    for (const limits of limitsOf(ranges, request.namespace)) {
      const problems = limits.flatMap((limit) =>
        resource.groupResource === 'pods' ? podProblems(limit, object!) : claimProblems(limit, object!),
      )
      const texts = [...new Set(problems)]
      if (texts.length > 0)
        throw forbiddenObject('', resource.plural, name, texts.length === 1 ? texts[0]! : `[${texts.join(', ')}]`)
    }
  },
})

/** Sets what is missing, and says so in an annotation. */
function preset(pod: ApiObject, limits: Limit[]): void {
  const ofContainers = limits.filter((limit) => limit.type === 'Container')
  const requests = Object.assign({}, ...ofContainers.map((limit) => limit.defaultRequest ?? {}))
  const most = Object.assign({}, ...ofContainers.map((limit) => limit.default ?? {}))
  const parts = (
    [
      ['requests', requests, 'request'],
      ['limits', most, 'limit'],
    ] as const
  ).filter(([, presets]) => Object.keys(presets).length > 0)
  if (parts.length === 0) return
  const told: string[] = []
  const complete = (container: any, what: string): void => {
    for (const [part, presets, word] of parts) {
      const missing = Object.keys(presets).filter((name) => container.resources?.[part]?.[name] === undefined)
      if (missing.length === 0) continue
      const own = Object.fromEntries(missing.map((name) => [name, presets[name]]))
      container.resources = { ...container.resources, [part]: { ...container.resources?.[part], ...own } }
      told.push(`${missing.sort().join(', ')} ${word} for ${what} ${container.name}`)
    }
  }
  for (const container of pod.spec?.containers ?? []) complete(container, 'container')
  for (const container of pod.spec?.initContainers ?? []) complete(container, 'init container')
  if (told.length > 0)
    pod.metadata.annotations = {
      ...pod.metadata.annotations,
      [annotation]: `LimitRanger plugin set: ${told.join('; ')}`,
    }
}

function podProblems(limit: Limit, { spec }: ApiObject): string[] {
  if (limit.type === 'Container')
    return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].flatMap(({ resources = {} }) =>
      problemsOf(limit, amountsOf(resources.requests), amountsOf(resources.limits)),
    )
  if (limit.type !== 'Pod') return []
  // What the runtime adds is not what somebody asked for.
  const asked = { spec: { ...spec, overhead: undefined } }
  return problemsOf(limit, podAmounts(asked, 'requests'), podAmounts(asked, 'limits'))
}

const entries = (amounts: Record<string, string> | undefined) =>
  Object.entries(amounts ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))

function problemsOf(limit: Limit, requests: Amounts, limits: Amounts): string[] {
  const { type } = limit
  return [
    ...entries(limit.min).map(([name, bound]) => belowMin(type, name, bound, requests, limits)),
    ...entries(limit.max).map(([name, bound]) => aboveMax(type, name, bound, requests, limits)),
    ...entries(limit.maxLimitRequestRatio).map(([name, bound]) => aboveRatio(type, name, bound, requests, limits)),
  ].filter((text) => text !== undefined)
}

const below = (a: Quantity, b: Quantity): boolean => quantityMilli(a) < quantityMilli(b)

function belowMin(type: string, name: string, bound: string, requests: Amounts, limits: Amounts): string | undefined {
  const least = quantityFrom(bound)
  const text = `minimum ${name} usage per ${type} is ${bound}`
  const [request, limit] = [requests.get(name), limits.get(name)]
  if (!request) return `${text}.  No request is specified`
  if (below(request, least)) return `${text}, but request is ${formatQuantity(request)}`
  if (limit && below(limit, least)) return `${text}, but limit is ${formatQuantity(limit)}`
  return undefined
}

function aboveMax(type: string, name: string, bound: string, requests: Amounts, limits: Amounts): string | undefined {
  const most = quantityFrom(bound)
  const text = `maximum ${name} usage per ${type} is ${bound}`
  const [request, limit] = [requests.get(name), limits.get(name)]
  if (!limit) return `${text}.  No limit is specified`
  if (below(most, limit)) return `${text}, but limit is ${formatQuantity(limit)}`
  if (request && below(most, request)) return `${text}, but request is ${formatQuantity(request)}`
  return undefined
}

function aboveRatio(type: string, name: string, bound: string, requests: Amounts, limits: Amounts): string | undefined {
  const text = `${name} max limit to request ratio per ${type} is ${bound}, but`
  const [request, limit] = [requests.get(name), limits.get(name)]
  if (!request || request.nanos === 0n) return `${text} no request is specified or request is 0`
  if (!limit || limit.nanos === 0n) return `${text} no limit is specified or limit is 0`
  const ratio = Number(quantityMilli(limit)) / Number(quantityMilli(request))
  if (ratio * 1000 <= Number(quantityMilli(quantityFrom(bound)))) return undefined
  return `${text} provided ratio is ${ratio.toFixed(6)}`
}

/** Claims have only a request. */
function claimProblems(limit: Limit, { spec }: ApiObject): string[] {
  if (limit.type !== 'PersistentVolumeClaim') return []
  const requests = amountsOf(spec?.resources?.requests)
  const problems = problemsOf({ ...limit, max: undefined, maxLimitRequestRatio: undefined }, requests, new Map())
  for (const [name, bound] of entries(limit.max)) {
    const text = `maximum ${name} usage per ${limit.type} is ${bound}`
    const request = requests.get(name)
    if (!request) problems.push(`${text}.  No request is specified`)
    else if (below(quantityFrom(bound), request)) problems.push(`${text}, but request is ${formatQuantity(request)}`)
  }
  return problems
}
