// Rules for a Job's podFailurePolicy and successPolicy (pkg/apis/batch/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { qualifiedNameProblems } from '../../api/names.ts'
import { duplicateValue, invalidValue, notSupported, requiredValue, tooLong, tooMany } from '../../api/walk/rules.ts'
import { validateCount } from '../rules/share.ts'

const actions = ['Count', 'FailIndex', 'FailJob', 'Ignore']
const operators = ['In', 'NotIn']
const statuses = ['False', 'True', 'Unknown']
const most = { rules: 20, patterns: 20, codes: 255, indexText: 64 * 1024 }

const quotedList = (values: string[]): string => `valid values: [${values.map((value) => `"${value}"`).join(' ')}]`

/** Required, or one of a few words. */
function oneOf(field: string, value: unknown, words: string[]): FieldError[] {
  if (value === undefined || value === '') return [requiredValue(field, quotedList(words))]
  return words.includes(value as string) ? [] : [notSupported(field, value, words)]
}

const noValue = (field: string, detail: string): FieldError => ({ type: 'FieldValueInvalid', field, detail })

export function validateFailurePolicy(spec: any, field: string): FieldError[] {
  const rules: any[] = spec.podFailurePolicy.rules ?? []
  const errors = rules.length > most.rules ? [tooMany(`${field}.rules`, rules.length, most.rules)] : []
  for (const [index, rule] of rules.entries())
    errors.push(...validateFailureRule(spec, rule, `${field}.rules[${index}]`))
  return errors
}

function validateFailureRule(spec: any, rule: any, field: string): FieldError[] {
  const { action, onExitCodes, onPodConditions = [] } = rule
  const errors = oneOf(`${field}.action`, action, actions)
  if (action === 'FailIndex' && spec.backoffLimitPerIndex === undefined)
    errors.push(invalidValue(`${field}.action`, action, 'requires the backoffLimitPerIndex to be set'))
  if (onExitCodes) errors.push(...validateExitCodes(spec, onExitCodes, `${field}.onExitCodes`))
  errors.push(...validatePatterns(onPodConditions, `${field}.onPodConditions`))
  if (onExitCodes && onPodConditions.length)
    errors.push(noValue(field, 'specifying both OnExitCodes and OnPodConditions is not supported'))
  if (!onExitCodes && !onPodConditions.length)
    errors.push(noValue(field, 'specifying one of OnExitCodes and OnPodConditions is required'))
  return errors
}

function validatePatterns(patterns: any[], field: string): FieldError[] {
  const errors = patterns.length > most.patterns ? [tooMany(field, patterns.length, most.patterns)] : []
  patterns.forEach(({ type = '', status }, index) => {
    const path = `${field}[${index}]`
    errors.push(...qualifiedNameProblems(type).map((problem) => invalidValue(`${path}.type`, type, problem)))
    errors.push(...oneOf(`${path}.status`, status, statuses))
  })
  return errors
}

function validateExitCodes(spec: any, { operator, containerName, values = [] }: any, field: string): FieldError[] {
  const errors = oneOf(`${field}.operator`, operator, operators)
  const { containers = [], initContainers = [] } = spec.template?.spec ?? {}
  if (containerName !== undefined && ![...containers, ...initContainers].some(({ name }) => name === containerName))
    errors.push(
      invalidValue(
        `${field}.containerName`,
        containerName,
        'must be one of the container or initContainer names in the pod template',
      ),
    )
  if (!values.length) errors.push(invalidValue(`${field}.values`, values, 'at least one value is required'))
  else if (values.length > most.codes) errors.push(tooMany(`${field}.values`, values.length, most.codes))
  const seen = new Set<number>()
  values.forEach((code: number, index: number) => {
    const path = `${field}.values[${index}]`
    if (operator === 'In' && code === 0) errors.push(invalidValue(path, code, 'must not be 0 for the In operator'))
    if (seen.has(code)) errors.push(duplicateValue(path, code))
    seen.add(code)
  })
  if (values.some((code: number, index: number) => index > 0 && values[index - 1] > code))
    errors.push(invalidValue(`${field}.values`, values, 'must be ordered'))
  return errors
}

export function validateSuccessPolicy(spec: any, field: string): FieldError[] {
  const rules: any[] = spec.successPolicy.rules ?? []
  const errors: FieldError[] = []
  if (!rules.length)
    errors.push(
      requiredValue(`${field}.rules`, 'at least one rules must be specified when the successPolicy is specified'),
    )
  if (rules.length > most.rules) errors.push(tooMany(`${field}.rules`, rules.length, most.rules))
  for (const [index, rule] of rules.entries())
    errors.push(...validateSuccessRule(spec, rule, `${field}.rules[${index}]`))
  return errors
}

function validateSuccessRule({ completions = 0 }: any, rule: any, field: string): FieldError[] {
  const { succeededCount, succeededIndexes } = rule
  if (succeededCount === undefined && succeededIndexes === undefined)
    return [requiredValue(field, 'at least one of succeededCount or succeededIndexes must be specified')]
  const errors: FieldError[] = []
  let total: number | undefined
  if (succeededIndexes !== undefined) {
    const path = `${field}.succeededIndexes`
    if (succeededIndexes.length > most.indexText) errors.push(tooLong(path, most.indexText))
    try {
      total = countIndexes(succeededIndexes, completions)
    } catch (error) {
      errors.push(invalidValue(path, succeededIndexes, `error parsing succeededIndexes: ${(error as Error).message}`))
    }
  }
  if (succeededCount === undefined) return errors
  const path = `${field}.succeededCount`
  errors.push(...validateCount(path, succeededCount))
  const atMost = (limit: number, what: string) => {
    if (succeededCount > limit)
      errors.push(invalidValue(path, succeededCount, `must be less than or equal to ${limit} (the number of ${what})`))
  }
  atMost(completions, 'specified completions')
  if (total !== undefined) atMost(total, 'indexes in the specified succeededIndexes field')
  return errors
}

/** How many indexes '1,3-5' names. @throws Error that says what is wrong */
function countIndexes(text: string, completions: number): number {
  let total = 0
  let last = -1
  for (const part of text === '' ? [] : text.split(',')) {
    const [low = '', high, ...more] = part.split('-')
    if (more.length)
      throw new Error(
        `the fragment ${JSON.stringify(part)} violates the requirement that an index interval can have at most two parts separated by '-'`,
      )
    const [from, to] = [low, high ?? low].map((each) => indexNumber(each, completions)) as [number, number]
    if (from > to || (high !== undefined && from === to))
      throw new Error(`non-increasing order, previous: ${from}, current: ${to}`)
    if (from <= last) throw new Error(`non-increasing order, previous: ${last}, current: ${from}`)
    total += to - from + 1
    last = to
  }
  return total
}

function indexNumber(text: string, completions: number): number {
  if (!/^\d+$/.test(text)) throw new Error(`cannot convert string to integer for index: ${JSON.stringify(text)}`)
  if (Number(text) >= completions) throw new Error(`too large index: ${JSON.stringify(text)}`)
  return Number(text)
}
