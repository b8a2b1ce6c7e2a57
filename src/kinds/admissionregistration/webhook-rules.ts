// What both kinds of webhook configurations share: defaults and rules (pkg/apis/admissionregistration, 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dns1035LabelProblems, dnsSubdomainProblems } from '../../api/names.ts'
import { validateSelector } from '../../api/selector.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { uniqueNames } from '../rules/field.ts'
import { validateMatchConditions } from './match-conditions.ts'
import { validateOperations, validateRule } from './resource-rules.ts'
import { validateWebhookService, validateWebhookUrl } from './webhook-client.ts'

const reviewVersions = ['v1', 'v1beta1']
const sideEffects = ['None', 'NoneOnDryRun']

export const webhooksOf = (object: ApiObject): Record<string, any>[] =>
  Array.isArray(object.webhooks) ? object.webhooks : []

export function defaultWebhook(hook: Record<string, any>): void {
  hook.failurePolicy ??= 'Fail'
  hook.matchPolicy ??= 'Equivalent'
  hook.namespaceSelector ??= {}
  hook.objectSelector ??= {}
  hook.timeoutSeconds ??= 10
  for (const rule of hook.rules ?? []) rule.scope ??= '*'
  const { service } = hook.clientConfig ?? {}
  if (service) service.port ??= 443
}

/** `old` keeps its expressions: they were compiled when they came. */
export function validateWebhooks(object: ApiObject, old: ApiObject | undefined): FieldError[] {
  const known = new Set(
    webhooksOf(old ?? object).flatMap((hook) =>
      old ? (hook.matchConditions ?? []).map((one: { expression: string }) => one.expression) : [],
    ),
  )
  const hooks = webhooksOf(object)
  return [
    ...hooks.flatMap((hook, index) => validateWebhook(hook, `webhooks[${index}]`, known)),
    ...uniqueNames('webhooks', hooks),
  ]
}

function validateWebhook(hook: Record<string, any>, path: string, known: ReadonlySet<string>): FieldError[] {
  const errors = validateQualifiedName(hook.name, `${path}.name`)
  for (const [index, rule] of (hook.rules ?? []).entries()) {
    errors.push(...validateOperations(rule.operations ?? [], `${path}.rules[${index}].operations`))
    errors.push(...validateRule(rule, `${path}.rules[${index}]`, true))
  }
  const choice = (field: string, supported: readonly string[]): void => {
    if (hook[field] !== undefined && !supported.includes(hook[field]))
      errors.push(notSupported(`${path}.${field}`, hook[field], supported))
  }
  choice('failurePolicy', ['Fail', 'Ignore'])
  choice('matchPolicy', ['Equivalent', 'Exact'])
  choice('reinvocationPolicy', ['IfNeeded', 'Never'])
  if (hook.sideEffects === undefined)
    errors.push(requiredValue(`${path}.sideEffects`, `must specify one of ${sideEffects.join(', ')}`))
  choice('sideEffects', sideEffects)
  const seconds = hook.timeoutSeconds
  if (seconds !== undefined && (seconds < 1 || seconds > 30))
    errors.push(invalidValue(`${path}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds'))
  errors.push(...validateSelector(hook.namespaceSelector, `${path}.namespaceSelector`))
  errors.push(...validateSelector(hook.objectSelector, `${path}.objectSelector`))
  errors.push(...validateClientConfig(hook.clientConfig ?? {}, `${path}.clientConfig`))
  errors.push(...validateMatchConditions(hook.matchConditions ?? [], `${path}.matchConditions`, known))
  errors.push(...validateReviewVersions(hook.admissionReviewVersions ?? [], `${path}.admissionReviewVersions`))
  return errors
}

/** At least three segments: who wrote the webhook must be seen from its name. */
function validateQualifiedName(name: unknown, path: string): FieldError[] {
  if (typeof name !== 'string' || name === '') return [requiredValue(path)]
  const problems = dnsSubdomainProblems(name)
  if (problems.length > 0) return [invalidValue(path, name, problems.join(','))]
  if (name.split('.').length >= 3) return []
  return [invalidValue(path, name, 'should be a domain with at least three segments separated by dots')]
}

function validateClientConfig(config: Record<string, any>, path: string): FieldError[] {
  const { url, service } = config
  if ((url === undefined) === (service === undefined))
    return [requiredValue(path, 'exactly one of url or service is required')]
  if (url !== undefined) return validateWebhookUrl(url, `${path}.url`)
  return validateWebhookService(service, `${path}.service`)
}

function validateReviewVersions(versions: string[], path: string): FieldError[] {
  if (versions.length === 0) return [requiredValue(path, `must specify one of ${reviewVersions.join(', ')}`)]
  const errors: FieldError[] = []
  versions.forEach((version, index) => {
    if (versions.indexOf(version) < index) errors.push(invalidValue(`${path}[${index}]`, version, 'duplicate version'))
    else errors.push(...dns1035LabelProblems(version).map((text) => invalidValue(`${path}[${index}]`, version, text)))
  })
  if (!versions.some((version) => reviewVersions.includes(version)))
    errors.push(invalidValue(path, versions, `must include at least one of ${reviewVersions.join(', ')}`))
  return errors
}
