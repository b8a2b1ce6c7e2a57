// Admission: the rules of the platform between a request and the store. A plugin may complete the object (admit), refuse
// it (validate) and hold something for it (an address) that it gives back when the write does not come to be. A plugin
// that asks others (a webhook) answers with a promise; a request that meets no such plugin never waits.

import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import type { Resource } from '../registry.ts'

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'

/** What a plugin can know before there is an object. */
export interface AdmissionTarget {
  operation: Operation
  resource: Resource
  subresource: string
}

export interface ApiOptions {
  kind: string
  apiVersion: 'meta.k8s.io/v1'
  [field: string]: unknown
}

/** How a subresource with a kind of its own (a Scale) shows the object that it is a part of. */
export interface SubresourceView {
  kind: { group: string; version: string; kind: string }
  of(object: ApiObject): ApiObject
  /** The object after its view was changed. */
  into(object: ApiObject, view: ApiObject): ApiObject
}

export interface AdmissionRequest extends AdmissionTarget {
  namespace: string
  name: string
  user: UserInfo
  dryRun: boolean
  /** What was asked for beside the object, as its kind (CreateOptions, DeleteOptions …). Made when somebody wants it. */
  options(): ApiOptions
  /** The object as it will be stored; `admit` may change it. Undefined for DELETE. */
  object?: ApiObject
  old?: StoredObject
  view?: SubresourceView
  /** Makes an object that somebody outside changed one of this write again: read by the schema, defaults, rules of the verb. */
  reshape?(proposed: ApiObject): ApiObject
  /** A plugin that changed the object late lets the earlier ones look at it once more; `running` when they do. */
  again?: 'wanted' | 'running'
  /** Notes for the audit log. */
  annotate?(key: string, value: string): void
  warnings: string[]
  /** What plugins took for this write: called when it failed. */
  undo: (() => void)[]
}

export type Waiting = void | Promise<void>

export interface AdmissionPlugin {
  name: string
  /** The resources ('pods', 'deployments.apps') that it looks at; all, when it names none. */
  resources?: readonly string[]
  /** Completes a new object as it was sent, before its defaults. @throws ApiError */
  preset?(request: AdmissionRequest): void
  /** Completes the object in place. @throws ApiError */
  admit?(request: AdmissionRequest): Waiting
  /** Sees the object as it will be stored. @throws ApiError */
  validate?(request: AdmissionRequest): Waiting
  /** True when a request for this target may have to wait: its write is then compared, not locked. */
  waits?(target: AdmissionTarget): boolean
  /** The write happened. */
  written?(request: AdmissionRequest, result: StoredObject): void
}

export interface Admission {
  preset(request: AdmissionRequest): void
  /** Await it only when it is a promise: what needs nobody else stays in one turn of the event loop. */
  admit(request: AdmissionRequest): Waiting
  validate(request: AdmissionRequest): Waiting
  waits(target: AdmissionTarget): boolean
  written(request: AdmissionRequest, result: StoredObject): void
  failed(request: AdmissionRequest): void
}

export function createAdmission(plugins: readonly AdmissionPlugin[]): Admission {
  const waiting = plugins.filter((plugin) => plugin.waits)
  const following = plugins.filter((plugin) => plugin.written)
  const chains = new WeakMap<Resource, Chain>()
  /** Most plugins look at one resource: a write meets only those that look at its own. */
  function chainOf(resource: Resource): Chain {
    let chain = chains.get(resource)
    if (!chain) {
      const own = plugins.filter(({ resources }) => !resources || resources.includes(resource.groupResource))
      chain = {
        presets: own.filter((plugin) => plugin.preset),
        admit: onceMore(inOrder(own.flatMap((plugin) => (plugin.admit ? [plugin.admit.bind(plugin)] : [])))),
        validate: inOrder(own.flatMap((plugin) => (plugin.validate ? [plugin.validate.bind(plugin)] : []))),
      }
      chains.set(resource, chain)
    }
    return chain
  }
  return {
    preset(request) {
      for (const plugin of chainOf(request.resource).presets) plugin.preset!(request)
    },
    admit: (request) => chainOf(request.resource).admit(request),
    validate: (request) => chainOf(request.resource).validate(request),
    waits: (target) => waiting.some((plugin) => plugin.waits!(target)),
    written(request, result) {
      for (const plugin of following) plugin.written!(request, result)
    },
    failed(request) {
      for (const undo of request.undo.splice(0)) undo()
    },
  }
}

type Step = (request: AdmissionRequest) => Waiting

interface Chain {
  presets: readonly AdmissionPlugin[]
  admit: Step
  validate: Step
}

/** One step after the other; a promise comes to be only when a step returns one. */
function inOrder(steps: readonly Step[]): Step {
  async function rest(first: Promise<void>, from: number, request: AdmissionRequest): Promise<void> {
    await first
    for (let index = from; index < steps.length; index++) await steps[index]!(request)
  }
  return (request) => {
    for (let index = 0; index < steps.length; index++) {
      const pending = steps[index]!(request)
      if (pending) return rest(pending, index + 1, request)
    }
  }
}

/** Runs the steps a second time when one of them asks for it, never a third time. */
function onceMore(steps: Step): Step {
  function second(request: AdmissionRequest): Waiting {
    if (request.again !== 'wanted') return
    request.again = 'running'
    return steps(request)
  }
  return (request) => {
    const pending = steps(request)
    return pending ? pending.then(() => second(request)) : second(request)
  }
}

/** 'pods', 'services' … of the core group, without subresource. */
export const isCore = (request: AdmissionRequest, plural: string): boolean =>
  request.resource.group === '' && request.resource.plural === plural && request.subresource === ''
