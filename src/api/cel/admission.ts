// CEL about a request: what the expressions of admission policies and match conditions may name, and their values (facts
// of k8s.io/apiserver/pkg/admission/plugin/cel, 1.36).

import { toJson } from './canonical.ts'
import { CelResultError, type Compiled, compileCel } from './compile.ts'
import { jsonValue } from './convert.ts'
import {
  type Authorize,
  authorizerType,
  authorizerValue,
  requestResourceValue,
  resourceCheckType,
} from './library/authorizer.ts'
import { readTimestamp } from './library/time-text.ts'
import { CelCompileError } from './problem.ts'
import type { Type } from './types.ts'
import * as types from './types.ts'
import { CelMap } from './values.ts'

const { stringType, dynType, boolType, intType, timestampType, listOf, mapOf } = types

const record = (name: string, fields: Record<string, Type>): Type =>
  types.structType(`kubernetes.${name}`, (field) => (Object.hasOwn(fields, field) ? fields[field] : undefined))

const kindType = record('GroupVersionKind', { group: stringType, version: stringType, kind: stringType })
const resourceType = record('GroupVersionResource', { group: stringType, version: stringType, resource: stringType })
const userType = record('UserInfo', {
  username: stringType,
  uid: stringType,
  groups: listOf(stringType),
  extra: mapOf(stringType, listOf(stringType)),
})
const requestType = record('AdmissionRequest', {
  kind: kindType,
  resource: resourceType,
  subResource: stringType,
  requestKind: kindType,
  requestResource: resourceType,
  requestSubResource: stringType,
  name: stringType,
  namespace: stringType,
  operation: stringType,
  userInfo: userType,
  dryRun: boolType,
  options: dynType,
})
const conditionType = record('NamespaceCondition', {
  status: stringType,
  type: stringType,
  lastTransitionTime: timestampType,
  message: stringType,
  reason: stringType,
})
const namespaceType = record('Namespace', {
  metadata: record('NamespaceMetadata', {
    name: stringType,
    generateName: stringType,
    namespace: stringType,
    labels: mapOf(stringType, stringType),
    annotations: mapOf(stringType, stringType),
    UID: stringType,
    creationTimestamp: timestampType,
    deletionGracePeriodSeconds: intType,
    deletionTimestamp: timestampType,
    generation: intType,
    resourceVersion: stringType,
    finalizers: listOf(stringType),
  }),
  spec: record('NamespaceSpec', { finalizers: listOf(stringType) }),
  status: record('NamespaceStatus', { conditions: listOf(conditionType), phase: stringType }),
})

/** Objects that a mutation builds: `Object{spec: Object.spec{…}}`. Their fields are checked when they are applied. */
const objectType = (name: string): Type => types.structType(name, () => dynType)
const patchType = types.structType('JSONPatch', (field) =>
  field === 'op' || field === 'path' || field === 'from' ? stringType : field === 'value' ? dynType : undefined,
)

function patchingType(name: string): Type | undefined {
  if (name === 'JSONPatch') return patchType
  return name === 'Object' || name.startsWith('Object.') ? objectType(name) : undefined
}

export type Expected = 'bool' | 'string' | 'string or null' | 'any' | 'Object' | 'list of JSONPatch'

const results: Record<Expected, Type[] | undefined> = {
  bool: [boolType],
  string: [stringType],
  'string or null': [stringType, types.nullType],
  any: undefined,
  Object: [objectType('Object')],
  'list of JSONPatch': [listOf(patchType)],
}

export interface AdmissionScope {
  /** The policy has a paramKind. */
  params: boolean
  authorizer: boolean
  /** Types of the variables before this expression. */
  variables?: ReadonlyMap<string, Type>
  /** Instead of dyn: the type check of a policy knows its object. */
  object?: Type
  paramsType?: Type
}

/** @throws CelCompileError, CelResultError */
export function compileAdmission(source: string, expected: Expected, scope: AdmissionScope): Compiled {
  const { params, authorizer, variables: own, object = dynType, paramsType = dynType } = scope
  const variables: Record<string, Type> = {
    object,
    oldObject: object,
    request: requestType,
    namespaceObject: namespaceType,
    ...(params && { params: paramsType }),
    ...(authorizer && { authorizer: authorizerType, 'authorizer.requestResource': resourceCheckType }),
    ...(own && { variables: types.structType('kubernetes.variables', (name) => own.get(name)) }),
  }
  const patching = expected === 'Object' || expected === 'list of JSONPatch'
  const resultTypes = results[expected]
  return compileCel(source, {
    variables,
    ...(resultTypes && { resultTypes }),
    resultProblem: (type) =>
      resultTypes!.length === 1
        ? `must evaluate to ${resultTypes![0]!.name} but got ${type.name}`
        : `must evaluate to one of [${resultTypes!.map((one) => one.name).join(' ')}] but got ${type.name}`,
    ...(patching && { structs: patchingType, patching }),
  })
}

/** What is wrong with an expression, in the words of a field error; undefined when nothing is. */
export function admissionProblem(source: string, expected: Expected, scope: AdmissionScope): string | undefined {
  try {
    compileAdmission(source, expected, scope)
    return undefined
  } catch (error) {
    return compileProblem(error)
  }
}

/** @throws what is no problem of the expression */
export function compileProblem(error: unknown): string {
  if (error instanceof CelCompileError) return `compilation failed: ${error.message}`
  if (error instanceof CelResultError) return error.message
  throw error
}

type Json = Record<string, unknown>

/** The values of one request, as JSON. */
export interface AdmissionInput {
  object: unknown
  oldObject: unknown
  request: Json
  namespaceObject?: Json | undefined
  /** null: the policy has params, but the binding names none. */
  params?: unknown
  authorize?: Authorize
}

/** Names to values; each is made when an expression asks for it. */
export function admissionValues(input: AdmissionInput, variables?: CelMap): (name: string) => unknown {
  const made = new Map<string, unknown>()
  const make = (name: string): unknown => {
    switch (name) {
      case 'object':
        return jsonValue(input.object)
      case 'oldObject':
        return jsonValue(input.oldObject)
      case 'request':
        return jsonValue(input.request)
      case 'namespaceObject':
        return input.namespaceObject ? namespaceValue(input.namespaceObject) : null
      case 'params':
        return jsonValue(input.params ?? null)
      case 'variables':
        return variables
      case 'authorizer':
        return input.authorize && authorizerValue(input.authorize)
      case 'authorizer.requestResource':
        return input.authorize && requestResourceValue(input.authorize, requestScope(input.request))
    }
    return undefined
  }
  return (name) => {
    let value = made.get(name)
    if (value === undefined) {
      value = make(name)
      made.set(name, value)
    }
    return value
  }
}

function requestScope(request: Json): {
  group: string
  resource: string
  subresource: string
  namespace: string
  name: string
} {
  const { resource = {}, subResource, namespace, name } = request as Record<string, any>
  const text = (value: unknown): string => (typeof value === 'string' ? value : '')
  return {
    group: text(resource.group),
    resource: text(resource.resource),
    subresource: text(subResource),
    namespace: text(namespace),
    name: text(name),
  }
}

/** Times of the namespace are timestamps, as its type says. */
class TimedMap extends CelMap {
  private readonly inner: CelMap
  constructor(inner: CelMap) {
    super()
    this.inner = inner
  }
  get(key: unknown): unknown {
    const value = this.inner.get(key === 'UID' ? 'uid' : key)
    if (value instanceof CelMap) return new TimedMap(value)
    if (Array.isArray(value)) return value.map((item) => (item instanceof CelMap ? new TimedMap(item) : item))
    const time = typeof value === 'string' && /Timestamp$|Time$/.test(String(key)) ? readTimestamp(value) : undefined
    return time ?? value
  }
  has(key: unknown): boolean {
    return this.inner.has(key === 'UID' ? 'uid' : key)
  }
  keys(): unknown[] {
    return this.inner.keys()
  }
  get size(): number {
    return this.inner.size
  }
}

function namespaceValue({ metadata, spec, status }: Json): CelMap {
  const { managedFields: _managed, ownerReferences: _owners, ...shown } = (metadata ?? {}) as Json
  return new TimedMap(jsonValue({ metadata: shown, spec: spec ?? {}, status: status ?? {} }) as CelMap)
}

/**
 * The JSON of an object that a mutation built.
 * @throws Error when the names of its types are not the path at which they stand
 */
export function objectJson(value: unknown): unknown {
  checkNames(value, 'Object')
  return toJson(value)
}

function checkNames(value: unknown, path: string): void {
  if (Array.isArray(value)) for (const item of value) checkNames(item, path)
  if (!(value instanceof CelMap)) return
  if (value.typeName?.startsWith('Object') && value.typeName !== path) {
    throw new Error(
      `type mismatch: unexpected type name "${value.typeName}", expected "${path}", which must match field name path from root Object type`,
    )
  }
  for (const key of value.keys()) checkNames(value.get(key), value.typeName ? `${path}.${String(key)}` : path)
}
