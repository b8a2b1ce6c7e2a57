// What this room reads of Gateway API objects (gateway-api apis/v1, 1.5), as its schemas let it in.

import type { LabelSelector } from '../../api/selector.ts'
import type { Cors } from './cors.ts'

export const gatewayGroup = 'gateway.networking.k8s.io'

/** Whose GatewayClasses Tandem serves. */
export const gatewayController = 'tandem.dev/gateway'

export interface ObjectReference {
  group?: string
  kind?: string
  namespace?: string
  name: string
  port?: number
}

export interface ListenerSpec {
  name: string
  hostname?: string
  port: number
  protocol: string
  tls?: { mode?: string; certificateRefs?: ObjectReference[]; options?: Record<string, string> }
  allowedRoutes?: {
    namespaces?: { from?: 'All' | 'Same' | 'Selector'; selector?: LabelSelector }
    kinds?: { group?: string; kind: string }[]
  }
}

export interface GatewaySpec {
  gatewayClassName: string
  listeners: ListenerSpec[]
  addresses?: { type?: string; value?: string }[]
  tls?: { frontend?: object }
}

export interface ParentReference extends ObjectReference {
  sectionName?: string
}

export interface ValueMatch {
  type?: 'Exact' | 'RegularExpression'
  name: string
  value: string
}

export interface RouteMatch {
  path?: { type?: 'Exact' | 'PathPrefix' | 'RegularExpression'; value?: string }
  headers?: ValueMatch[]
  queryParams?: ValueMatch[]
  method?: string
}

export interface HeaderFilter {
  set?: { name: string; value: string }[]
  add?: { name: string; value: string }[]
  remove?: string[]
}

export interface PathModifier {
  type: 'ReplaceFullPath' | 'ReplacePrefixMatch'
  replaceFullPath?: string
  replacePrefixMatch?: string
}

export interface Redirect {
  scheme?: 'http' | 'https'
  hostname?: string
  path?: PathModifier
  port?: number
  statusCode?: number
}

export interface Rewrite {
  hostname?: string
  path?: PathModifier
}

export interface Mirror {
  backendRef: ObjectReference
  percent?: number
  fraction?: { numerator: number; denominator?: number }
}

export interface RouteFilter {
  type: string
  requestHeaderModifier?: HeaderFilter
  responseHeaderModifier?: HeaderFilter
  requestMirror?: Mirror
  cors?: Cors
  requestRedirect?: Redirect
  urlRewrite?: Rewrite
}

export interface RouteBackend extends ObjectReference {
  weight?: number
  filters?: RouteFilter[]
}

export interface RouteRule {
  matches?: RouteMatch[]
  filters?: RouteFilter[]
  backendRefs?: RouteBackend[]
  timeouts?: { request?: string; backendRequest?: string }
}

export interface RouteSpec {
  parentRefs?: ParentReference[]
  hostnames?: string[]
  rules?: RouteRule[]
}
