// Label selectors: the text form of query parameters and the object form of specs, as matchers. Grammar and error texts
// mirrored from apimachinery labels/selector.go and meta/v1 (1.32).

import { ApiError, type FieldError, fieldErrorBody } from './errors.ts'
import { labelValueProblems, qualifiedNameProblems } from './names.ts'
import { validateLabels } from './validate-meta.ts'
import { forbidden, invalidValue, requiredValue } from './walk/rules.ts'

export type Labels = Readonly<Record<string, string>>

export type Operator = 'in' | 'notin' | '=' | '==' | '!=' | 'exists' | '!' | 'gt' | 'lt'

export interface Requirement {
  key: string
  operator: Operator
  values: string[]
}

export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

/** A selector that was read: all requirements must hold. */
export interface LabelMatcher {
  requirements: readonly Requirement[]
  /** True when it selects everything. */
  everything: boolean
  matches(labels: Labels | undefined): boolean
}

const labelOf = (labels: Labels | undefined, key: string): string | undefined =>
  labels && Object.hasOwn(labels, key) ? labels[key] : undefined

function holds(requirement: Requirement, labels: Labels | undefined): boolean {
  const value = labelOf(labels, requirement.key)
  switch (requirement.operator) {
    case 'in':
    case '=':
    case '==':
      return value !== undefined && requirement.values.includes(value)
    case 'notin':
    case '!=':
      return value === undefined || !requirement.values.includes(value)
    case 'exists':
      return value !== undefined
    case '!':
      return value === undefined
    default:
      return value !== undefined && compares(requirement, value)
  }
}

function compares(requirement: Requirement, value: string): boolean {
  if (!/^[+-]?\d+$/.test(value)) return false
  const left = BigInt(value.replace(/^\+/, ''))
  const right = BigInt(requirement.values[0]!.replace(/^\+/, ''))
  return requirement.operator === 'gt' ? left > right : left < right
}

export function matcherOf(requirements: Requirement[]): LabelMatcher {
  return {
    requirements,
    everything: requirements.length === 0,
    matches: (labels) => {
      for (const requirement of requirements) if (!holds(requirement, labels)) return false
      return true
    },
  }
}

export const everything: LabelMatcher = matcherOf([])
/** Selects no object: what a missing selector means in most specs. */
export const nothing: LabelMatcher = { requirements: [], everything: false, matches: () => false }

const operators: Record<string, Operator> = { In: 'in', NotIn: 'notin', Exists: 'exists', DoesNotExist: '!' }

/** A spec's selector: missing selects nothing, empty selects everything. @throws ApiError on an unknown operator */
export function selectorMatcher(selector: LabelSelector | undefined | null): LabelMatcher {
  if (!selector) return nothing
  const requirements: Requirement[] = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => ({
    key,
    operator: 'in',
    values: [value],
  }))
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    if (!Object.hasOwn(operators, operator))
      throw new ApiError('BadRequest', `${JSON.stringify(operator)} is not a valid label selector operator`)
    requirements.push({ key, operator: operators[operator]!, values })
  }
  return matcherOf(requirements)
}

/** A plain map of labels (Service.spec.selector): every pair must be there. */
export const labelsMatcher = (labels: Record<string, string>): LabelMatcher =>
  matcherOf(Object.entries(labels).map(([key, value]) => ({ key, operator: '=', values: [value] })))

/** The text form: 'app=web,tier in (a,b),!old'; a status reports it (scale.status.selector). */
export function selectorText(matcher: LabelMatcher): string {
  return [...matcher.requirements]
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(requirementText)
    .join(',')
}

function requirementText({ key, operator, values }: Requirement): string {
  if (operator === 'exists') return key
  if (operator === '!') return `!${key}`
  // A pair of matchLabels is written as key=value.
  if (operator === 'in' && values.length === 1) return `${key}=${values[0]}`
  if (operator === 'in' || operator === 'notin') return `${key} ${operator} (${[...values].sort().join(',')})`
  return `${key}${{ gt: '>', lt: '<' }[operator as string] ?? operator}${values[0]}`
}

interface Token {
  kind: 'word' | 'end' | 'error' | '(' | ')' | ',' | '!' | '=' | '==' | '!=' | '<' | '>' | 'in' | 'notin'
  text: string
}

const special = new Set('=!(),<>')
const symbols = ['==', '!=', '=', '!', '(', ')', ',', '<', '>'] as const

function tokens(text: string): Token[] {
  const found: Token[] = []
  let at = 0
  while (at < text.length) {
    const character = text[at]!
    if (/[ \t\r\n]/.test(character)) {
      at++
    } else if (special.has(character)) {
      const symbol = symbols.find((one) => text.startsWith(one, at))!
      found.push({ kind: symbol, text: symbol })
      at += symbol.length
    } else {
      const start = at
      while (at < text.length && !special.has(text[at]!) && !/[ \t\r\n]/.test(text[at]!)) at++
      const word = text.slice(start, at)
      found.push({ kind: word === 'in' || word === 'notin' ? word : 'word', text: word })
    }
  }
  found.push({ kind: 'end', text: '' })
  return found
}

/** Longer selectors are refused: a URL does not hold them anyway. */
const longest = 64 * 1024

/** Reads the labelSelector parameter. @throws ApiError BadRequest with upstream's text */
export function parseLabelSelector(text: string): LabelMatcher {
  if (text.length > longest) throw new ApiError('BadRequest', 'unable to parse requirement: the selector is too long')
  if (!text) return everything
  const reader = new SelectorReader(tokens(text))
  return matcherOf(reader.requirements().sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)))
}

const binaryOperators = 'in, notin, =, ==, !=, gt, lt'

class SelectorReader {
  readonly #tokens: Token[]
  #at = 0

  constructor(found: Token[]) {
    this.#tokens = found
  }

  requirements(): Requirement[] {
    const found: Requirement[] = []
    for (;;) {
      const first = this.#look()
      if (first.kind === 'end') return found
      if (first.kind !== 'word' && first.kind !== '!')
        throw bad(`found '${first.text}', expected: !, identifier, or 'end of string'`)
      found.push(this.#requirement())
      const after = this.#take()
      if (after.kind === 'end') return found
      if (after.kind !== ',') throw bad(`found '${after.text}', expected: ',' or 'end of string'`)
      const next = this.#look()
      if (next.kind !== 'word' && next.kind !== '!') throw bad(`found '${next.text}', expected: identifier after ','`)
    }
  }

  /** In a place for a name or value, 'in' and 'notin' are ordinary words. */
  #look(): Token {
    const token = this.#tokens[Math.min(this.#at, this.#tokens.length - 1)]!
    return token.kind === 'in' || token.kind === 'notin' ? { kind: 'word', text: token.text } : token
  }

  #take(): Token {
    const token = this.#look()
    this.#at++
    return token
  }

  #requirement(): Requirement {
    let token = this.#take()
    const negated = token.kind === '!'
    if (negated) token = this.#take()
    if (token.kind !== 'word') throw unparsed(`found '${token.text}', expected: identifier`)
    const key = token.text
    checkKey(key)
    const next = this.#look()
    if (negated) return { key, operator: '!', values: [] }
    if (next.kind === 'end' || next.kind === ',') return { key, operator: 'exists', values: [] }
    return this.#comparison(key)
  }

  #comparison(key: string): Requirement {
    const token = this.#tokens[Math.min(this.#at++, this.#tokens.length - 1)]!
    switch (token.kind) {
      case 'in':
      case 'notin':
        return checked({ key, operator: token.kind, values: this.#list() })
      case '=':
      case '==':
      case '!=':
        return checked({ key, operator: token.kind, values: [this.#value()] })
      case '<':
      case '>':
        return checked({ key, operator: token.kind === '>' ? 'gt' : 'lt', values: [this.#value()] })
      default:
        throw unparsed(`found '${token.text}', expected: ${binaryOperators}`)
    }
  }

  #value(): string {
    const next = this.#look()
    if (next.kind === 'end' || next.kind === ',') return ''
    const token = this.#take()
    if (token.kind !== 'word') throw unparsed(`found '${token.text}', expected: identifier`)
    return token.text
  }

  #list(): string[] {
    const open = this.#take()
    if (open.kind !== '(') throw unparsed(`found '${open.text}' expected: '('`)
    const values = new Set<string>()
    let word: string | undefined
    for (;;) {
      const token = this.#take()
      if (token.kind === 'word' && word === undefined) word = token.text
      else if (token.kind === ',' || token.kind === ')') {
        values.add(word ?? '')
        word = undefined
        if (token.kind === ')') return [...values].sort()
      } else if (word !== undefined) throw unparsed(`found '${token.text}', expected: ',' or ')'`)
      else if (values.size) throw unparsed(`found '${token.text}', expected: ',', or identifier`)
      else throw unparsed(`found '${token.text}', expected: ',', ')' or identifier`)
    }
  }
}

const bad = (message: string): ApiError => new ApiError('BadRequest', message)
const unparsed = (message: string): ApiError => bad(`unable to parse requirement: ${message}`)

const fieldText = (error: FieldError): string => `${error.field}: ${fieldErrorBody(error)}`

function checkKey(key: string): void {
  const problems = qualifiedNameProblems(key)
  if (problems.length) throw unparsed(fieldText(invalidValue('<nil>', key, problems.join('; '))))
}

function checked(requirement: Requirement): Requirement {
  const { key, operator, values } = requirement
  if ((operator === 'gt' || operator === 'lt') && !/^[+-]?\d{1,19}$/.test(values[0]!))
    throw unparsed(
      fieldText(invalidValue('values[0]', values[0], "for 'Gt', 'Lt' operators, the value must be an integer")),
    )
  for (const value of values) {
    const problems = labelValueProblems(value)
    if (problems.length)
      throw unparsed(fieldText(invalidValue(`values[${values.indexOf(value)}][${key}]`, value, problems.join('; '))))
  }
  return requirement
}

/** For the kinds: is this selector of a spec well-formed? */
export function validateSelector(selector: LabelSelector | undefined, path: string): FieldError[] {
  if (!selector) return []
  const errors = validateLabels(selector.matchLabels, `${path}.matchLabels`)
  for (const [index, expression] of (selector.matchExpressions ?? []).entries()) {
    const at = `${path}.matchExpressions[${index}]`
    const values = expression.values ?? []
    if (expression.operator === 'In' || expression.operator === 'NotIn') {
      if (!values.length)
        errors.push(requiredValue(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    } else if (expression.operator === 'Exists' || expression.operator === 'DoesNotExist') {
      if (values.length)
        errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    } else errors.push(invalidValue(`${at}.operator`, expression.operator, 'not a valid selector operator'))
    for (const problem of qualifiedNameProblems(expression.key ?? ''))
      errors.push(invalidValue(`${at}.key`, expression.key, problem))
    for (const [position, value] of values.entries())
      for (const problem of labelValueProblems(value))
        errors.push(invalidValue(`${at}.values[${position}]`, value, problem))
  }
  return errors
}
