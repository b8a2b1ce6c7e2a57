// ValidatingAdmissionPolicy at admission: every binding that matches is asked, the first refusal is the answer (facts
// and texts of k8s.io/apiserver/pkg/admission/plugin/policy/validating, 1.36).

import { ApiError, type StatusReason } from '../../../api/errors.ts'
import type { ApiObject } from '../../../api/meta.ts'
import type { Authorizer } from '../../auth/authz.ts'
import type { Resource } from '../../registry.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import { celInput } from '../cel-request.ts'
import { isExempt } from '../webhooks/match.ts'
import { Evaluation, OutOfBudget } from './evaluation.ts'
import { type Matching, matched } from './match.ts'
import { collectParams, Misconfigured, type ParamTools, paramResource } from './params.ts'
import type { Binding, Policy, Validation } from './policy.ts'

export interface PolicyTools extends Matching, ParamTools {
  authorizer: Authorizer
  convert(object: ApiObject, from: Resource, to: Resource): ApiObject
}

interface Decision {
  message: string
  reason?: string
  /** Which validation it was. */
  index: number
}
interface Denied extends Decision {
  policy: string
  binding?: string
}

/** Beyond that many failures the note for the audit log would be too long. */
const mostNoted = 50
const longestNote = 10 * 1024
const longestMessage = 5 * 1024

export function validatingPolicies(policies: () => readonly Policy[], tools: PolicyTools): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionPolicy',
    validate(request) {
      const all = policies()
      if (all.length === 0 || isExempt(request.resource)) return
      const review = new Review(request, tools)
      for (const policy of all) review.policy(policy)
      review.finish()
    },
  }
}

class Review {
  readonly request: AdmissionRequest
  readonly tools: PolicyTools
  private readonly denied: Denied[] = []
  private readonly failures: object[] = []

  constructor(request: AdmissionRequest, tools: PolicyTools) {
    this.request = request
    this.tools = tools
  }

  policy(policy: Policy): void {
    const { request, tools } = this
    const notes = new Map<string, Set<string>>()
    try {
      const seenAs = matched(policy.match, request, tools)
      if (!seenAs) return
      const params = paramResource(policy, tools)
      for (const binding of policy.bindings) this.binding(policy, binding, seenAs, params, notes)
    } catch (error) {
      this.misconfigured(error, policy, undefined)
    }
    for (const [key, values] of notes) request.annotate?.(`${policy.name}/${key}`, [...values].join(', '))
  }

  private binding(
    policy: Policy,
    binding: Binding,
    seenAs: Resource,
    params: Resource | undefined,
    notes: Map<string, Set<string>>,
  ): void {
    const { request, tools } = this
    try {
      if (binding.match && !matched(binding.match, request, tools)) return
      for (const param of collectParams(params, binding, request.namespace, tools)) {
        this.evaluate(policy, binding, seenAs, param, notes)
      }
    } catch (error) {
      this.misconfigured(error, policy, binding)
    }
  }

  private misconfigured(error: unknown, policy: Policy, binding: Binding | undefined): void {
    const { message } = error as Error
    if (!(error instanceof Misconfigured) && !(error instanceof ApiError)) throw error
    if (policy.failOpen) return
    const what = binding ? 'binding' : 'policy'
    const text = `failed to configure ${what}: ${message}`
    this.denied.push({ policy: policy.name, ...(binding && { binding: binding.name }), message: text, index: 0 })
  }

  private evaluate(
    policy: Policy,
    binding: Binding,
    seenAs: Resource,
    params: ApiObject | null,
    notes: Map<string, Set<string>>,
  ): void {
    const { request, tools } = this
    const convert = (object: ApiObject): ApiObject => tools.convert(object, request.resource, seenAs)
    const namespace = request.resource.groupResource === 'namespaces' ? '' : request.namespace
    const namespaceObject = namespace ? tools.lookup.get('', 'namespaces', '', namespace) : undefined
    const input = {
      ...celInput(request, seenAs, convert, tools.authorizer),
      params,
      ...(namespaceObject && { namespaceObject: namespaceObject as unknown as Record<string, unknown> }),
    }
    const run = new Evaluation(policy, input)
    if (policy.conditions) {
      const { matches, error } = policy.conditions(run.lookup)
      if (error !== undefined && !policy.failOpen) this.decide(policy, binding, [{ message: error, index: 0 }])
      if (!matches) return
    }
    try {
      this.decide(policy, binding, validate(policy, run))
      this.annotate(policy, binding, run, notes)
    } catch (error) {
      if (!(error instanceof OutOfBudget)) throw error
      if (!policy.failOpen) this.decide(policy, binding, [{ message: error.message, index: 0 }])
    }
  }

  private decide(policy: Policy, binding: Binding, decisions: Decision[]): void {
    for (const decision of decisions) {
      const { message, index } = decision
      const named = { policy: policy.name, binding: binding.name }
      if (binding.actions.includes('Deny')) this.denied.push({ ...decision, ...named })
      if (binding.actions.includes('Audit')) {
        this.failures.push({ message, ...named, expressionIndex: index, validationActions: binding.actions })
      }
      if (binding.actions.includes('Warn')) {
        this.request.warnings.push(
          `Validation failed for ValidatingAdmissionPolicy '${policy.name}' with binding '${binding.name}': ${message}`,
        )
      }
    }
  }

  private annotate(policy: Policy, binding: Binding, run: Evaluation, notes: Map<string, Set<string>>): void {
    policy.annotations.forEach((annotation, index) => {
      const { value, error } = run.evaluate(annotation)
      if (error !== undefined) {
        if (!policy.failOpen) this.denied.push({ policy: policy.name, binding: binding.name, message: error, index })
      } else if (typeof value === 'string' && value.trim() !== '') {
        const known = notes.get(annotation.key) ?? new Set()
        notes.set(annotation.key, known.add(value.trim().slice(0, longestNote)))
      }
    })
  }

  /** @throws ApiError the first refusal */
  finish(): void {
    const { request, failures } = this
    if (failures.length > 0) {
      const value = JSON.stringify(failures.slice(0, mostNoted))
      request.annotate?.('validation.policy.admission.k8s.io/validation_failure', value)
    }
    const [first] = this.denied
    if (!first) return
    const bound = first.binding ? ` with binding '${first.binding}'` : ''
    const message = `ValidatingAdmissionPolicy '${first.policy}'${bound} denied request: ${first.message}`
    throw refusal(request, message, (first.reason ?? 'Invalid') as StatusReason)
  }
}

function refusal({ resource, name }: AdmissionRequest, message: string, reason: StatusReason): ApiError {
  const named = name ? ` ${JSON.stringify(name)}` : ''
  const text = `${resource.groupResource}${named} is forbidden: ${message}`
  return new ApiError(reason, text, { name, group: resource.group, kind: resource.plural, causes: [{ message }] })
}

/** The validations that do not hold. @throws OutOfBudget */
function validate(policy: Policy, run: Evaluation): Decision[] {
  const decisions: Decision[] = []
  policy.validations.forEach((validation, index) => {
    const { value, error } = run.evaluate(validation)
    if (error !== undefined) {
      if (!policy.failOpen) decisions.push({ message: error, index })
    } else if (value !== true) {
      decisions.push({ message: messageOf(validation, run), reason: validation.reason ?? 'Invalid', index })
    }
  })
  return decisions
}

function messageOf(validation: Validation, run: Evaluation): string {
  const { messageExpression, message, source } = validation
  if (messageExpression) {
    const { value } = run.evaluate(messageExpression)
    const text = typeof value === 'string' ? value.trim() : ''
    if (text !== '' && Buffer.byteLength(text) <= longestMessage && !text.includes('\n')) return text
  }
  return message ? message.trim() : `failed expression: ${source.trim()}`
}
