// MutatingAdmissionPolicy at admission: the mutations of every binding that matches, one after the other, each seeing
// what the ones before made (facts and texts of k8s.io/apiserver/pkg/admission/plugin/policy/mutating, 1.36).

import { celAdmission } from '../../../api/cel/lazy.ts'
import { ApiError, type StatusReason } from '../../../api/errors.ts'
import type { ApiObject, StoredObject } from '../../../api/meta.ts'
import { applyJsonPatch } from '../../../api/patch/json.ts'
import { mergeTyped } from '../../../api/patch/typed.ts'
import { problemsText, typedProblems } from '../../../api/patch/typed-check.ts'
import { copyJson, equalJson, isPlainObject } from '../../../api/walk/plain.ts'
import type { Shape } from '../../../api/walk/shape.ts'
import { shapeOf } from '../../conform.ts'
import type { Resource } from '../../registry.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import { celInput } from '../cel-request.ts'
import { isExempt } from '../webhooks/match.ts'
import { Evaluation } from './evaluation.ts'
import { matched } from './match.ts'
import { collectParams, paramResource } from './params.ts'
import type { Binding, Mutation, Policy } from './policy.ts'
import type { PolicyTools } from './validating.ts'

interface Invocation {
  id: string
  policy: Policy
  binding: Binding
  seenAs: Resource
  params: StoredObject | null
}

interface Rounds {
  /** The object as the policies left it. */
  left: ApiObject | undefined
  /** Which ran, may run again, and have seen the object as it is. */
  done: Set<string>
  /** Which have to run again. */
  outdated: Set<string>
}

interface Refused {
  policy: Policy
  binding: Binding | undefined
  message: string
  reason: StatusReason
}

export function mutatingPolicies(policies: () => readonly Policy[], tools: PolicyTools): AdmissionPlugin {
  const rounds = new WeakMap<AdmissionRequest, Rounds>()
  return {
    name: 'MutatingAdmissionPolicy',
    admit(request) {
      const all = policies()
      if (all.length === 0 || !request.object || !request.reshape || isExempt(request.resource)) return
      const refused: Refused[] = []
      const invocations = all.flatMap((policy) => invocationsOf(policy, request, tools, refused))
      const seen = rounds.get(request) ?? { left: undefined, done: new Set<string>(), outdated: new Set<string>() }
      rounds.set(request, seen)
      run(invocations, request, tools, seen, refused)
      seen.left = copyJson(request.object)
      refuse(request, refused)
    },
  }
}

function invocationsOf(
  policy: Policy,
  request: AdmissionRequest,
  tools: PolicyTools,
  refused: Refused[],
): Invocation[] {
  let current: Binding | undefined
  const found: Invocation[] = []
  const failed = (error: unknown): void => {
    const what = current ? 'binding' : 'policy'
    const message = `failed to configure ${what}: ${(error as Error).message}`
    refused.push({ policy, binding: current, message, reason: 'Forbidden' })
  }
  try {
    const seenAs = matched(policy.match, request, tools)
    if (!seenAs) return []
    const resource = paramResource(policy, tools)
    for (const binding of policy.bindings) {
      current = binding
      try {
        if (binding.match && !matched(binding.match, request, tools)) continue
        for (const params of collectParams(resource, binding, request.namespace, tools)) {
          const id = `${policy.name}/${binding.name}/${params?.metadata.uid ?? ''}`
          found.push({ id, policy, binding, seenAs, params })
        }
      } catch (error) {
        failed(error)
      }
    }
  } catch (error) {
    current = undefined
    failed(error)
  }
  return found
}

function outdate({ done, outdated }: Rounds): void {
  for (const id of done) outdated.add(id)
  done.clear()
}

function run(
  invocations: Invocation[],
  request: AdmissionRequest,
  tools: PolicyTools,
  seen: Rounds,
  refused: Refused[],
): void {
  const second = request.again === 'running'
  if (second && !equalJson(seen.left, request.object)) outdate(seen)
  for (const invocation of invocations) {
    // The second round runs nothing for the first time.
    if (second && !seen.outdated.has(invocation.id)) continue
    const before = copyJson(request.object!)
    mutate(invocation, request, tools, refused)
    if (!equalJson(before, request.object)) {
      outdate(seen)
      if (!second) request.again = 'wanted'
    }
    if (invocation.policy.reinvocable) seen.done.add(invocation.id)
  }
}

function mutate(invocation: Invocation, request: AdmissionRequest, tools: PolicyTools, refused: Refused[]): void {
  const { policy, binding, seenAs } = invocation
  const { resource, view } = request
  const fail = (message: string): void => {
    refused.push({ policy, binding, message, reason: 'Invalid' })
  }
  const start = evaluationFor(invocation, request, tools)
  if (policy.conditions) {
    const { matches, error } = policy.conditions(start.lookup)
    if (error !== undefined && !policy.failOpen) fail(error)
    if (!matches) return
  }
  for (const mutation of policy.mutations) {
    try {
      const outcome = evaluationFor(invocation, request, tools).evaluate(mutation)
      if (outcome.error !== undefined) fail(outcome.error)
      else {
        const object = request.object!
        const shown = tools.convert(view ? view.of(object) : object, resource, seenAs)
        const patched = patch(mutation, shown, outcome.value, shapeOf(seenAs))
        if (equalJson(shown, patched)) continue
        const own = tools.convert(patched, seenAs, resource)
        replaceContents(object, request.reshape!(view ? view.into(object, own) : own))
      }
    } catch (error) {
      if (error instanceof ApiError && error.reason !== 'Invalid') throw error
      fail((error as Error).message)
    }
  }
}

function evaluationFor(
  { policy, seenAs, params }: Invocation,
  request: AdmissionRequest,
  tools: PolicyTools,
): Evaluation {
  const convert = (object: ApiObject): ApiObject => tools.convert(object, request.resource, seenAs)
  const namespace = request.resource.groupResource === 'namespaces' ? '' : request.namespace
  const namespaceObject = namespace ? tools.lookup.get('', 'namespaces', '', namespace) : undefined
  return new Evaluation(policy, {
    ...celInput(request, seenAs, convert, tools.authorizer),
    params,
    ...(namespaceObject && { namespaceObject: namespaceObject as unknown as Record<string, unknown> }),
  })
}

/** @throws Error, ApiError */
function patch(mutation: Mutation, object: ApiObject, value: unknown, shape: Shape): ApiObject {
  const json = celAdmission().objectJson(value)
  if (mutation.json) return patchJson(object, json)
  const configuration = { ...(json as ApiObject), apiVersion: object.apiVersion, kind: object.kind }
  const problems = typedProblems(configuration, shape)
  if (problems.length > 0)
    throw new Error(`error applying patch: failed to convert patch object to typed object: ${problemsText(problems)}`)
  const atomic = atomicPaths(configuration, shape, '')
  if (atomic.length > 0) {
    throw new Error(
      `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomic.join(', ')}`,
    )
  }
  return copyJson(mergeTyped(object, configuration, shape)) as ApiObject
}

/** A test that fails means that there is nothing to change. */
function patchJson(object: ApiObject, operations: unknown): ApiObject {
  try {
    return applyJsonPatch(copyJson(object), operations)
  } catch (error) {
    if ((error as Error).message.endsWith(': test failed')) return object
    throw error
  }
}

/** What a merge would replace as a whole, although the policy may have meant only a part of it. */
function atomicPaths(value: unknown, shape: Shape | undefined, path: string): string[] {
  if (!shape) return []
  if (Array.isArray(value)) {
    const own = shape.associative ? [] : [path]
    return [...own, ...value.flatMap((item, index) => atomicPaths(item, shape.items, `${path}[${index}]`))]
  }
  if (!isPlainObject(value)) return []
  const own = shape.atomic ? [path] : []
  return [
    ...own,
    ...Object.entries(value).flatMap(([name, item]) => atomicPaths(item, shape.fields.get(name), `${path}.${name}`)),
  ]
}

/** Everybody in this write holds the same object: it changes in place. */
function replaceContents(object: ApiObject, next: ApiObject): void {
  for (const key of Object.keys(object)) if (!(key in next)) delete object[key]
  Object.assign(object, next)
}

/** @throws ApiError the first of them */
function refuse({ resource, name }: AdmissionRequest, all: Refused[]): void {
  const refused = all.filter(({ policy }) => !policy.failOpen)
  const [first] = refused
  if (!first) return
  const text = ({ policy, binding, message }: Refused): string =>
    binding
      ? `policy '${policy.name}' with binding '${binding.name}' denied request: ${message}`
      : `policy ${JSON.stringify(policy.name)} denied request: ${message}`
  const causes = refused.map((one) => ({ message: text(one) }))
  throw new ApiError(first.reason, text(first), { name, group: resource.group, kind: resource.plural, causes })
}
