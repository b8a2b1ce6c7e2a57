// Admission policies and their bindings, compiled: once per version of an object, read again only when one changed.

import type { Compiled } from '../../../api/cel/compile.ts'
import { celAdmission, celMatchConditions } from '../../../api/cel/lazy.ts'
import type { MatchConditions } from '../../../api/cel/match-conditions.ts'
import type { Type } from '../../../api/cel/types.ts'
import type { ApiObject, StoredObject } from '../../../api/meta.ts'
import type { Objects } from '../../objects.ts'
import type { Registry } from '../../registry.ts'
import { type Match, readMatch } from './match.ts'

type Json = Record<string, any>
type Expected = Parameters<ReturnType<typeof celAdmission>['compileAdmission']>[1]

/** An expression, or why it cannot be evaluated. */
export interface Expression {
  source: string
  program?: Compiled
  problem?: string
}
export interface Validation extends Expression {
  message?: string
  reason?: string
  messageExpression?: Expression
}
export interface AuditAnnotation extends Expression {
  key: string
}
export interface Mutation extends Expression {
  json: boolean
}
export interface Binding {
  name: string
  match: Match | undefined
  paramRef: Json | undefined
  actions: string[]
}
export interface Policy {
  name: string
  match: Match
  failOpen: boolean
  paramKind: { apiVersion: string; kind: string } | undefined
  conditions: MatchConditions | undefined
  variables: { name: string; expression: Expression }[]
  validations: Validation[]
  annotations: AuditAnnotation[]
  mutations: Mutation[]
  /** May run a second time when something changed the object after it. */
  reinvocable: boolean
  bindings: Binding[]
}

const group = 'admissionregistration.k8s.io'

/** The policies that have a binding, in the order of their names. */
export function createPolicySource(
  objects: Objects,
  registry: Registry,
  kind: 'validating' | 'mutating',
): () => readonly Policy[] {
  const policies = registry.preferred(group, `${kind}admissionpolicies`)
  const bindings = registry.preferred(group, `${kind}admissionpolicybindings`)
  if (!policies || !bindings) return () => []
  const compiled = new Map<string, Policy>()
  let current: readonly Policy[] | undefined
  const outdated = (): void => {
    current = undefined
  }
  const since = objects.store.revision()
  objects.watch(policies, '', since, outdated)
  objects.watch(bindings, '', since, outdated)

  function read(): Policy[] {
    const bound = Map.groupBy(
      objects.list(bindings!, '').map(({ object }) => object),
      ({ spec }) => (spec as Json).policyName as string,
    )
    const found: Policy[] = []
    const seen = new Set<string>()
    for (const { object } of bound.size === 0 ? [] : objects.list(policies!, '')) {
      const own = bound.get(object.metadata.name)
      if (!own) continue
      const version = `${object.metadata.uid}/${object.metadata.generation}`
      const policy = compiled.get(version) ?? readPolicy(object)
      compiled.set(version, policy)
      seen.add(version)
      found.push({ ...policy, bindings: own.map(readBinding) })
    }
    for (const version of compiled.keys()) if (!seen.has(version)) compiled.delete(version)
    return found
  }
  return () => {
    current ??= read()
    return current
  }
}

function readBinding({ metadata, spec }: StoredObject): Binding {
  const { matchResources, paramRef, validationActions = [] } = spec as Json
  return {
    name: metadata.name,
    match: matchResources && readMatch(matchResources),
    paramRef,
    actions: validationActions,
  }
}

export function readPolicy({ metadata, spec }: ApiObject): Policy {
  const own = spec as Json
  const params = own.paramKind !== undefined
  const types = new Map<string, Type>()
  const compile = (source: string, expected: Expected, authorizer = true): Expression =>
    compileExpression(source, expected, { params, authorizer, variables: types })
  const variables = (own.variables ?? []).map(({ name, expression }: Json) => {
    const compiled = compile(expression, 'any')
    if (compiled.program) types.set(name, compiled.program.type)
    return { name, expression: compiled }
  })
  const conditions = own.matchConditions?.length
    ? celMatchConditions().compileMatchConditions(own.matchConditions, { params, authorizer: true, variables: types })
    : undefined
  return {
    name: metadata.name!,
    match: readMatch(own.matchConstraints ?? {}),
    failOpen: own.failurePolicy === 'Ignore',
    paramKind: own.paramKind,
    conditions,
    variables,
    validations: (own.validations ?? []).map((one: Json) => ({
      ...compile(one.expression, 'bool'),
      ...(one.message && { message: one.message }),
      ...(one.reason && { reason: one.reason }),
      ...(one.messageExpression && { messageExpression: compile(one.messageExpression, 'string', false) }),
    })),
    annotations: (own.auditAnnotations ?? []).map((one: Json) => ({
      key: one.key,
      ...compile(one.valueExpression.trim(), 'string or null'),
    })),
    mutations: (own.mutations ?? []).map((one: Json) =>
      one.patchType === 'JSONPatch'
        ? { json: true, ...compile((one.jsonPatch?.expression ?? '').trim(), 'list of JSONPatch') }
        : { json: false, ...compile((one.applyConfiguration?.expression ?? '').trim(), 'Object') },
    ),
    reinvocable: own.reinvocationPolicy === 'IfNeeded',
    bindings: [],
  }
}

function compileExpression(
  source: string,
  expected: Expected,
  scope: Parameters<ReturnType<typeof celAdmission>['compileAdmission']>[2],
): Expression {
  const cel = celAdmission()
  try {
    return { source, program: cel.compileAdmission(source, expected, scope) }
  } catch (error) {
    return { source, problem: cel.compileProblem(error) }
  }
}
