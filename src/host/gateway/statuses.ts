// The statuses of GatewayClasses, Gateways and HTTPRoutes as they are written (gateway-api apis/v1, 1.5). Pure.

import type { StoredObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { no, type StatedCondition, stated, yes } from './condition.ts'
import type { RouteStatus } from './gateway-plan.ts'
import { gatewayConditions, type Listener } from './listeners.ts'
import { gatewayController, type ParentReference } from './specs.ts'

/** Names of upstream's list (pkg/features, 1.5). */
const features = [
  'Gateway',
  'GatewayHTTPListenerIsolation',
  'GatewayPort8080',
  'HTTPRoute',
  'HTTPRoute303RedirectStatusCode',
  'HTTPRoute307RedirectStatusCode',
  'HTTPRoute308RedirectStatusCode',
  'HTTPRouteBackendProtocolWebSocket',
  'HTTPRouteBackendRequestHeaderModification',
  'HTTPRouteBackendTimeout',
  'HTTPRouteCORS',
  'HTTPRouteHostRewrite',
  'HTTPRouteMethodMatching',
  'HTTPRouteNamedRouteRule',
  'HTTPRouteParentRefPort',
  'HTTPRoutePathRedirect',
  'HTTPRoutePathRewrite',
  'HTTPRoutePortRedirect',
  'HTTPRouteQueryParamMatching',
  'HTTPRouteRequestMirror',
  'HTTPRouteRequestMultipleMirrors',
  'HTTPRouteRequestPercentageMirror',
  'HTTPRouteRequestTimeout',
  'HTTPRouteResponseHeaderModification',
  'HTTPRouteSchemeRedirect',
  'ReferenceGrant',
]

export function classStatus(object: StoredObject, now: string): object {
  const condition = object.spec?.parametersRef
    ? no('Accepted', 'InvalidParameters', 'spec.parametersRef is not served: there is nothing to set')
    : yes('Accepted', 'Accepted')
  return {
    ...object.status,
    conditions: stated(object.status?.conditions, [condition], object.metadata.generation, now),
    supportedFeatures: features.map((name) => ({ name })),
  }
}

export function gatewayStatus(
  object: StoredObject,
  listeners: readonly (Listener & { attached: number })[],
  address: string,
  now: string,
): object {
  const { generation } = object.metadata
  const before: { name: string; conditions: StatedCondition[] }[] = object.status?.listeners ?? []
  return {
    ...object.status,
    addresses: [{ type: 'IPAddress', value: address }],
    conditions: stated(object.status?.conditions, gatewayConditions(object, listeners, address), generation, now),
    listeners: listeners.map(({ spec, supportedKinds, attached, conditions }) => ({
      name: spec.name,
      supportedKinds,
      attachedRoutes: attached,
      conditions: stated(before.find(({ name }) => name === spec.name)?.conditions, conditions, generation, now),
    })),
  }
}

interface ParentStatus {
  parentRef: ParentReference
  controllerName: string
  conditions: StatedCondition[]
}

/** What other controllers say stays. Undefined when there is nothing to say. */
export function routeStatus(object: StoredObject, parents: RouteStatus['parents'], now: string): object | undefined {
  const before: ParentStatus[] = object.status?.parents ?? []
  const others = before.filter(({ controllerName }) => controllerName !== gatewayController)
  if (parents.length === 0 && others.length === before.length) return undefined
  const own = parents.map(({ parent, conditions }): ParentStatus => {
    const known = before.find(
      ({ parentRef, controllerName }) => controllerName === gatewayController && equalJson(parentRef, parent),
    )
    return {
      parentRef: parent,
      controllerName: gatewayController,
      conditions: stated(known?.conditions, conditions, object.metadata.generation, now),
    }
  })
  return { ...object.status, parents: [...others, ...own] }
}
