// Label selectors inside specs: whether they match labels, and whether they are well formed.

import type { FieldError } from '../../api/errors.ts'
import { forbidden, invalid, required } from './field.ts'
import { checkLabels, labelValueProblems, qualifiedNameProblems } from './names.ts'

export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

export function matchesLabels(selector: LabelSelector, labels: Record<string, string> = {}): boolean {
  const equal = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value)
  return equal && (selector.matchExpressions ?? []).every((term) => matchesTerm(term, labels))
}

function matchesTerm(
  { key, operator, values = [] }: { key: string; operator: string; values?: string[] },
  labels: Record<string, string>,
): boolean {
  const value = labels[key]
  if (operator === 'In') return value !== undefined && values.includes(value)
  if (operator === 'NotIn') return value === undefined || !values.includes(value)
  return operator === 'Exists' ? value !== undefined : value === undefined
}

export const selectsNothing = (selector: LabelSelector | undefined): boolean =>
  Object.keys(selector?.matchLabels ?? {}).length === 0 && !selector?.matchExpressions?.length

export function validateLabelSelector(selector: LabelSelector | undefined, field: string): FieldError[] {
  const errors = checkLabels(`${field}.matchLabels`, selector?.matchLabels)
  for (const [index, { key, operator, values = [] }] of (selector?.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${index}]`
    errors.push(...qualifiedNameProblems(key ?? '').map((problem) => invalid(`${at}.key`, key, problem)))
    const listed = operator === 'In' || operator === 'NotIn'
    if (listed && values.length === 0)
      errors.push(required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    if (!listed && values.length > 0)
      errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    if (!['In', 'NotIn', 'Exists', 'DoesNotExist'].includes(operator))
      errors.push(invalid(`${at}.operator`, operator, 'not a valid selector operator'))
    for (const [place, value] of values.entries())
      errors.push(...labelValueProblems(value).map((problem) => invalid(`${at}.values[${place}]`, value, problem)))
  }
  return errors
}
