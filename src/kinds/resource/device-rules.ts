// What a claim asks of devices and what a class says of them (pkg/apis/resource/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { labelValueProblems, qualifiedNameProblems } from '../../api/names.ts'
import { invalidValue, notSupported, requiredValue, tooLong } from '../../api/walk/rules.ts'
import { validateDriverName } from '../rules/drivers.ts'
import { listOf, validateAttributeName, validateClassName, validateLabel, validateList } from './names.ts'

const mostRequests = 32
const longestExpression = 10 * 1024
const mostParameterBytes = 10 * 1024

function validateSelector(selector: any, path: string): FieldError[] {
  if (!selector.cel) return [requiredValue(`${path}.cel`)]
  const expression = selector.cel.expression ?? ''
  if (!expression) return [requiredValue(`${path}.cel.expression`)]
  return expression.length > longestExpression ? [tooLong(`${path}.cel.expression`, longestExpression)] : []
}

export const validateSelectors = (selectors: unknown, path: string): FieldError[] =>
  validateList(listOf(selectors), 32, path, validateSelector)

function validateToleration(toleration: any, path: string): FieldError[] {
  const { key, operator = 'Equal', value, effect } = toleration
  const errors: FieldError[] = []
  if (key) errors.push(...qualifiedNameProblems(key).map((problem) => invalidValue(`${path}.key`, key, problem)))
  else if (operator !== 'Exists')
    errors.push(
      invalidValue(
        `${path}.operator`,
        operator,
        "operator must be Exists when `key` is empty, which means 'match all values and all keys'",
      ),
    )
  if (operator === 'Exists' && value)
    errors.push(invalidValue(`${path}.value`, value, "must be empty for operator 'Exists'"))
  else if (operator === 'Equal')
    errors.push(...labelValueProblems(value ?? '').map((problem) => invalidValue(`${path}.value`, value, problem)))
  else if (operator !== 'Exists') errors.push(notSupported(`${path}.operator`, operator, ['Equal', 'Exists']))
  if (effect && !['NoExecute', 'NoSchedule', 'None'].includes(effect))
    errors.push(notSupported(`${path}.effect`, effect, ['NoExecute', 'NoSchedule', 'None']))
  return errors
}

function validateAmount(request: any, path: string): FieldError[] {
  const { deviceClassName, selectors, tolerations, allocationMode: mode, count } = request
  const errors = [
    ...validateClassName(deviceClassName, `${path}.deviceClassName`),
    ...validateSelectors(selectors, `${path}.selectors`),
    ...validateList(listOf(tolerations), 16, `${path}.tolerations`, validateToleration),
  ]
  if (mode === 'All') {
    if (count) errors.push(invalidValue(`${path}.count`, count, "must not be specified when allocationMode is 'All'"))
  } else if (mode !== 'ExactCount')
    errors.push(notSupported(`${path}.allocationMode`, mode ?? '', ['All', 'ExactCount']))
  else if (!(count > 0)) errors.push(invalidValue(`${path}.count`, count ?? 0, 'must be greater than zero'))
  return errors
}

const oneOf = 'exactly one of `exactly` or `firstAvailable` is required'

function validateRequest(request: any, path: string): FieldError[] {
  const errors = validateLabel(request.name, `${path}.name`)
  const choices = listOf(request.firstAvailable)
  if (!request.exactly && choices.length === 0) return [...errors, requiredValue(path, oneOf)]
  if (request.exactly && choices.length > 0)
    return [...errors, invalidValue(path, null, `${oneOf}, but multiple fields are set`)]
  if (request.exactly) return [...errors, ...validateAmount(request.exactly, `${path}.exactly`)]
  const check = (choice: any, at: string) => [
    ...validateLabel(choice.name, `${at}.name`),
    ...validateAmount(choice, at),
  ]
  return [...errors, ...validateList(choices, 8, `${path}.firstAvailable`, check, (choice) => choice.name)]
}

/** Names by which constraints and configurations speak of requests: 'gpu' and 'gpu/large'. */
export function requestNames(claim: any): Set<string> {
  return new Set(
    listOf(claim?.requests).flatMap((request) => [
      request?.name,
      ...listOf(request?.firstAvailable).map((choice) => `${request?.name}/${choice?.name}`),
    ]),
  )
}

const validateReference =
  (names: Set<string>) =>
  (name: string, path: string): FieldError[] =>
    names.has(name)
      ? []
      : [
          invalidValue(
            path,
            name,
            "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
          ),
        ]

const validateReferences = (requests: unknown, names: Set<string>, path: string): FieldError[] =>
  validateList(listOf(requests), mostRequests, `${path}.requests`, validateReference(names), String)

function validateConstraint(constraint: any, names: Set<string>, path: string): FieldError[] {
  const errors = validateReferences(constraint.requests, names, path)
  const given = ['matchAttribute', 'distinctAttribute'].filter((field) => constraint[field] !== undefined)
  if (given.length !== 1)
    return [...errors, requiredValue(path, 'exactly one of "matchAttribute" or "distinctAttribute" is required')]
  return [...errors, ...validateAttributeName(constraint[given[0]!], `${path}.${given[0]}`, true)]
}

export function validateConfiguration({ opaque }: any, path: string): FieldError[] {
  if (!opaque) return [requiredValue(`${path}.opaque`)]
  const field = `${path}.opaque.parameters`
  const errors = validateDriverName(opaque.driver, `${path}.opaque.driver`)
  if (opaque.parameters === undefined) errors.push(requiredValue(field))
  else if (JSON.stringify(opaque.parameters).length > mostParameterBytes)
    errors.push(tooLong(field, mostParameterBytes))
  return errors
}

/** spec.devices of a claim. */
export function validateDeviceClaim(claim: any, path: string): FieldError[] {
  const names = requestNames(claim)
  const configuration = (config: any, at: string) => [
    ...validateReferences(config.requests, names, at),
    ...validateConfiguration(config, at),
  ]
  return [
    ...validateList(listOf(claim?.requests), mostRequests, `${path}.requests`, validateRequest, (one) => one.name),
    ...validateList(listOf(claim?.constraints), 32, `${path}.constraints`, (one, at) =>
      validateConstraint(one, names, at),
    ),
    ...validateList(listOf(claim?.config), 32, `${path}.config`, configuration),
  ]
}

/** How many devices: one, unless the request says something else. */
export function defaultRequests(claim: any): void {
  for (const request of listOf(claim?.requests))
    for (const one of [request?.exactly, ...listOf(request?.firstAvailable)]) {
      if (!one) continue
      one.allocationMode ||= 'ExactCount'
      if (one.allocationMode === 'ExactCount') one.count ||= 1
    }
}

export const noDevices = 'no driver of devices runs here, so nothing can be allocated'
