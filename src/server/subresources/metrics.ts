// metrics.k8s.io: answered from what the node measures when somebody asks (kubectl top, autoscalers).

import { notFound } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import type { StoredObject } from '../../api/meta.ts'
import { formOf } from '../accept.ts'
import { type Call, methodNotAllowed } from '../call.ts'
import { listAs } from '../forms.ts'
import type { Stored } from '../objects.ts'
import { createMatcher } from '../selection.ts'
import { answer } from '../verbs/get.ts'

/** One NodeMetrics or PodMetrics without apiVersion and kind. */
export interface Measured {
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; creationTimestamp: string }
  timestamp: string
  window: string
  [field: string]: unknown
}

export function metricsHandler(measure: () => Promise<Measured[]>): (call: Call) => Promise<ApiResponse> {
  return async (call) => {
    const { info, request, resource } = call
    if (info.verb !== 'get' && info.verb !== 'list') throw methodNotAllowed()
    const stored = (await measure()).map((one): Stored => {
      const object = { kind: resource.kind.kind, apiVersion: resource.apiVersion, ...one } as unknown as StoredObject
      return { key: one.metadata.name, revision: 0, object, json: JSON.stringify(object) }
    })
    const here = stored.filter(({ object }) => !info.namespace || object.metadata.namespace === info.namespace)
    if (info.verb === 'get') {
      const found = here.find(({ object }) => object.metadata.name === info.name)
      if (!found) throw notFound(`${resource.kind.kind.toLowerCase()}s`, info.name, resource.group)
      return answer(call, 200, found)
    }
    const matcher = createMatcher(resource, request.query)
    const items = here.filter(({ object }) => matcher.matches(object))
    return { status: 200, ...listAs(formOf(request.headers.accept), call, { items, revision: 0 }) }
  }
}
