// From an authorized request for a resource to what serves it: verbs of kinds, parts of objects, subresources.

import type { ApiResponse } from '../api/exchange.ts'
import type { Tokens } from './auth/tokens.ts'
import { type Call, methodNotAllowed, noSuchPath } from './call.ts'
import { seesMachines, serveMachinePod, withMachinePods } from './machine-pods.ts'
import { componentStatuses } from './subresources/component-statuses.ts'
import { evict } from './subresources/eviction.ts'
import { bind } from './subresources/pods.ts'
import { isReview, type ReviewTools, review } from './subresources/reviews.ts'
import { scale } from './subresources/scale.ts'
import { requestToken } from './subresources/token.ts'
import { create } from './verbs/create.ts'
import { remove, removeCollection } from './verbs/delete.ts'
import { answer, existing, get } from './verbs/get.ts'
import { list } from './verbs/list.ts'
import { patch } from './verbs/patch.ts'
import { type Part, statusPart, update, whole } from './verbs/update.ts'
import { watch } from './verbs/watch.ts'

export interface RouteTools extends ReviewTools {
  tokens: Tokens
  /** pods/log and what else main.ts gives, by 'pods/log'; kinds that are measured, not stored: 'pods.metrics.k8s.io'. */
  handlers: Record<string, (call: Call) => Promise<ApiResponse>>
}

type Served = Promise<ApiResponse> | ApiResponse

export function serveResource(call: Call, tools: RouteTools): Served {
  const { resource, info } = call
  if (resource.namespaced && !info.namespace && !['list', 'watch', 'create'].includes(info.verb) && info.name)
    throw noSuchPath()
  if (!resource.namespaced && info.namespace && resource.groupResource !== 'namespaces') throw noSuchPath()
  if (info.subresource) return serveSubresource(call, tools)
  if (isReview(resource.groupResource)) {
    if (info.verb !== 'create' || info.name) throw methodNotAllowed()
    return review(call, tools)
  }
  if (resource.groupResource === 'bindings') {
    const pods = call.engine.registry.preferred('', 'pods')
    if (!pods) throw noSuchPath()
    return bind({ ...call, resource: pods })
  }
  if (resource.groupResource === 'componentstatuses') return componentStatuses(call)
  const answered = tools.handlers[resource.groupResource]
  if (answered) return answered(call)
  if (!seesMachines(call)) return serveObject(call)
  return serveMachinePod(call) ?? serveObject(reads.has(info.verb) ? withMachinePods(call) : call)
}

const reads = new Set(['get', 'list', 'watch'])

function serveObject(call: Call): Served {
  const { resource, info } = call
  if (!resource.verbs.has(info.verb)) throw methodNotAllowed()
  switch (info.verb) {
    case 'get':
      return get(call)
    case 'list':
      return list(call)
    case 'watch':
      return watch(call)
    case 'create':
      if (info.name || (resource.namespaced && !info.namespace)) throw methodNotAllowed()
      return create(call)
    case 'update':
      if (!info.name) throw methodNotAllowed()
      return update(call)
    case 'patch':
      if (!info.name) throw methodNotAllowed()
      return patch(call, whole)
    case 'delete':
      return remove(call)
    case 'deletecollection':
      return removeCollection(call)
    default:
      throw methodNotAllowed()
  }
}

/** Subresources that are parts of the object: only that part changes through them. */
const parts: Record<string, Part> = {
  'pods/ephemeralcontainers': { subresource: 'ephemeralcontainers', owns: ['spec'] },
  'pods/resize': { subresource: 'resize', owns: ['spec'] },
  'namespaces/finalize': { subresource: 'finalize', owns: ['spec'] },
  'certificatesigningrequests.certificates.k8s.io/approval': { subresource: 'approval', owns: ['status'] },
}

function serveSubresource(call: Call, tools: RouteTools): Served {
  const { resource, info } = call
  const name = `${resource.groupResource}/${info.subresource}`
  const given = tools.handlers[name]
  if (given) return given(call)
  const ofMachine = seesMachines(call) ? serveMachinePod(call) : undefined
  if (ofMachine) return ofMachine
  if (info.subresource === 'scale' && resource.scale) return scale(call)
  if (name === 'pods/binding') return bind(call)
  if (name === 'pods/eviction') return evict(call)
  if (name === 'serviceaccounts/token') return requestToken(call, tools.tokens)
  const part = info.subresource === 'status' && resource.hasStatus ? statusPart : parts[name]
  if (!part || info.rest.length > 0) throw noSuchPath()
  switch (info.verb) {
    case 'get':
      return answer(call, 200, existing(call))
    case 'update':
      return update(call, part)
    case 'patch':
      return patch(call, part)
    default:
      throw methodNotAllowed()
  }
}
