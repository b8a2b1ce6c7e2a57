// What admission policies and their bindings share: which requests they are about, and their params
// (pkg/apis/admissionregistration/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dns1035LabelProblems, dnsSubdomainProblems, pathSegmentProblems } from '../../api/names.ts'
import { validateSelector } from '../../api/selector.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { validateOperations, validateRule } from './resource-rules.ts'

type Json = Record<string, any>

export function defaultMatchResources(match: Json | undefined): void {
  if (!match) return
  match.matchPolicy ??= 'Equivalent'
  match.namespaceSelector ??= {}
  match.objectSelector ??= {}
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= '*'
}

export function validateMatchResources(match: Json | undefined, path: string): FieldError[] {
  if (!match) return []
  const errors: FieldError[] = []
  if (!['Equivalent', 'Exact'].includes(match.matchPolicy)) {
    errors.push(notSupported(`${path}.matchPolicy`, match.matchPolicy, ['Equivalent', 'Exact']))
  }
  errors.push(...validateSelector(match.namespaceSelector, `${path}.namespaceSelector`))
  errors.push(...validateSelector(match.objectSelector, `${path}.objectSelector`))
  for (const list of ['resourceRules', 'excludeResourceRules']) {
    for (const [index, rule] of (match[list] ?? []).entries())
      errors.push(...namedRule(rule, `${path}.${list}[${index}]`))
  }
  return errors
}

function namedRule(rule: Json, path: string): FieldError[] {
  const errors: FieldError[] = []
  const names: string[] = rule.resourceNames ?? []
  names.forEach((name, index) => {
    const at = `${path}.resourceNames[${index}]`
    errors.push(...pathSegmentProblems(name).map((text) => invalidValue(at, name, text)))
    if (names.indexOf(name) < index) errors.push(duplicateValue(at, name))
  })
  errors.push(...validateOperations(rule.operations ?? [], `${path}.operations`))
  errors.push(...validateRule(rule, path, true))
  return errors
}

const mutable = ['*', 'CONNECT', 'CREATE', 'UPDATE']

/** What is deleted cannot be changed. */
export function onlyMutable(match: Json | undefined, path: string): FieldError[] {
  const operations: string[] = (match?.resourceRules ?? []).flatMap((rule: Json) => rule.operations ?? [])
  const wrong = operations.filter((operation) => !mutable.includes(operation))
  return wrong.map((operation) => notSupported(`${path}.resourceRules.operations`, operation, mutable))
}

export function validateParamKind(kind: Json | undefined, path: string): FieldError[] {
  if (!kind) return []
  const errors: FieldError[] = []
  const parts = String(kind.apiVersion ?? '').split('/')
  if (!kind.apiVersion) errors.push(requiredValue(`${path}.apiVersion`))
  else if (parts.length > 2) {
    errors.push(
      invalidValue(`${path}.apiVersion`, kind.apiVersion, `unexpected GroupVersion string: ${kind.apiVersion}`),
    )
  } else {
    const [group, version] = parts.length === 2 ? parts : ['', parts[0]]
    const problems = group ? dnsSubdomainProblems(group) : []
    if (problems.length > 0) errors.push(invalidValue(`${path}.apiVersion`, group, problems.join(',')))
    if (!version) errors.push(invalidValue(`${path}.apiVersion`, kind.apiVersion, 'version must be specified'))
    else if (dns1035LabelProblems(version).length > 0) {
      errors.push(invalidValue(`${path}.apiVersion`, version, dns1035LabelProblems(version).join(',')))
    }
  }
  if (!kind.kind) errors.push(requiredValue(`${path}.kind`))
  else {
    const problems = dns1035LabelProblems(kind.kind.toLowerCase())
    const text = `may have mixed case, but should otherwise match: ${problems.join(',')}`
    if (problems.length > 0) errors.push(invalidValue(`${path}.kind`, kind.kind, text))
  }
  return errors
}

export function validateParamRef(ref: Json | undefined, path: string): FieldError[] {
  if (!ref) return []
  const errors: FieldError[] = []
  const both = 'name and selector are mutually exclusive'
  if (ref.name) {
    errors.push(...pathSegmentProblems(ref.name).map((text) => invalidValue(`${path}.name`, ref.name, text)))
    if (ref.selector) errors.push(forbidden(`${path}.name`, both))
  }
  if (ref.selector) {
    errors.push(...validateSelector(ref.selector, `${path}.selector`))
    if (ref.name) errors.push(forbidden(`${path}.selector`, both))
  }
  if (!ref.name && !ref.selector) errors.push(requiredValue(path, 'one of name or selector must be specified'))
  const action = ref.parameterNotFoundAction
  if (!action) errors.push(requiredValue(`${path}.parameterNotFoundAction`))
  else if (!['Deny', 'Allow'].includes(action)) {
    errors.push(notSupported(`${path}.parameterNotFoundAction`, action, ['Deny', 'Allow']))
  }
  return errors
}

/** The name of a policy that need not exist yet. */
export function validatePolicyName(name: unknown, path: string): FieldError[] {
  if (typeof name !== 'string' || name === '') return [requiredValue(path)]
  return dnsSubdomainProblems(name).map((text) => invalidValue(path, name, text))
}

/** As a table shows it. */
export function paramRefText(ref: Json | undefined): string {
  if (ref?.name) return ref.namespace ? `${ref.namespace}/${ref.name}` : `*/${ref.name}`
  return ref?.selector ? JSON.stringify(ref.selector) : '<unset>'
}

export const paramKindText = (kind: Json | undefined): string => (kind ? `${kind.apiVersion}/${kind.kind}` : '<unset>')
