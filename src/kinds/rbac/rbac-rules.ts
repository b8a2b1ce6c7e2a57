// Rules of roles and of what binds them (pkg/apis/rbac/validation, Kubernetes 1.36).

import { type FieldError, maxFieldErrors } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsSubdomainProblems, pathSegmentProblems } from '../../api/names.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'

export const rbacGroup = 'rbac.authorization.k8s.io'

export function validateRules(rules: any[] | undefined, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = []
  for (const [index, rule] of (rules ?? []).entries()) {
    if (errors.length > maxFieldErrors) break
    const at = `rules[${index}]`
    if (!rule?.verbs?.length) errors.push(requiredValue(`${at}.verbs`, 'verbs must contain at least one value'))
    if (rule?.nonResourceURLs?.length) errors.push(...validateUrls(rule, at, namespaced))
    else {
      if (!rule?.apiGroups?.length)
        errors.push(requiredValue(`${at}.apiGroups`, 'resource rules must supply at least one api group'))
      if (!rule?.resources?.length)
        errors.push(requiredValue(`${at}.resources`, 'resource rules must supply at least one resource'))
    }
  }
  return errors
}

function validateUrls(rule: any, at: string, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (namespaced)
    errors.push(
      invalidValue(`${at}.nonResourceURLs`, rule.nonResourceURLs, 'namespaced rules cannot apply to non-resource URLs'),
    )
  if (rule.apiGroups?.length || rule.resources?.length || rule.resourceNames?.length)
    errors.push(
      invalidValue(
        `${at}.nonResourceURLs`,
        rule.nonResourceURLs,
        'rules cannot apply to both regular resources and non-resource URLs',
      ),
    )
  return errors
}

/** A role, user or group without an API group is RBAC's own. */
export function defaultSubjects({ subjects, roleRef }: ApiObject): void {
  if (roleRef && !roleRef.apiGroup) roleRef.apiGroup = rbacGroup
  for (const subject of Array.isArray(subjects) ? subjects : []) {
    if (subject && !subject.apiGroup && (subject.kind === 'User' || subject.kind === 'Group'))
      subject.apiGroup = rbacGroup
  }
}

export function validateBinding(object: ApiObject, old: ApiObject | undefined, roleKinds: string[]): FieldError[] {
  const { roleRef = {}, subjects } = object
  const errors: FieldError[] = []
  if (roleRef.apiGroup !== rbacGroup) errors.push(notSupported('roleRef.apiGroup', roleRef.apiGroup, [rbacGroup]))
  if (!roleKinds.includes(roleRef.kind)) errors.push(notSupported('roleRef.kind', roleRef.kind ?? '', roleKinds))
  if (!roleRef.name) errors.push(requiredValue('roleRef.name'))
  else errors.push(...pathSegmentProblems(roleRef.name).map((text) => invalidValue('roleRef.name', roleRef.name, text)))
  for (const [index, subject] of (subjects ?? []).entries())
    errors.push(...validateSubject(subject ?? {}, `subjects[${index}]`, roleKinds.length > 1))
  if (old && !equalJson(roleRef, old.roleRef)) errors.push(invalidValue('roleRef', roleRef, 'cannot change roleRef'))
  return errors
}

const subjectGroups: Record<string, string> = { ServiceAccount: '', User: rbacGroup, Group: rbacGroup }

function validateSubject(subject: any, at: string, namespaced: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (!subject.name) errors.push(requiredValue(`${at}.name`))
  const group = subjectGroups[subject.kind]
  if (group === undefined)
    return [...errors, notSupported(`${at}.kind`, subject.kind ?? '', Object.keys(subjectGroups).sort())]
  if ((subject.apiGroup ?? '') !== group) errors.push(notSupported(`${at}.apiGroup`, subject.apiGroup, [group]))
  if (subject.kind !== 'ServiceAccount') {
    if (subject.namespace) errors.push(forbidden(`${at}.namespace`, `must be empty for kind ${subject.kind}`))
    return errors
  }
  if (subject.name)
    errors.push(...dnsSubdomainProblems(subject.name).map((text) => invalidValue(`${at}.name`, subject.name, text)))
  if (!subject.namespace && !namespaced) errors.push(requiredValue(`${at}.namespace`))
  return errors
}
