// What names, keys and ports may look like, with upstream's sentences (apimachinery pkg/util/validation, Kubernetes 1.36).

import type { FieldError } from '../../api/errors.ts'
import { invalid, required } from './field.ts'

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const subdomain = `${label}(\\.${label})*`
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?'
const configKey = '[-._a-zA-Z0-9]+'

const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`)
const labelRule = whole(label)
const subdomainRule = whole(subdomain)
const label1035Rule = whole(label1035)
const configKeyRule = whole(configKey)
const portNameRule = /^[a-z0-9-]+$/
const labelValueRule = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/
const qualifiedNameRule = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/

const tooManyCharacters = (maximum: number) => `must be no more than ${maximum} characters`

export function dnsLabelProblems(name: string): string[] {
  const problems = name.length > 63 ? [tooManyCharacters(63)] : []
  if (!labelRule.test(name))
    problems.push(
      `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label}')`,
    )
  return problems
}

export function dnsSubdomainProblems(name: string): string[] {
  const problems = name.length > 253 ? [tooManyCharacters(253)] : []
  if (!subdomainRule.test(name))
    problems.push(
      `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomain}')`,
    )
  return problems
}

export function dns1035LabelProblems(name: string): string[] {
  const problems = name.length > 63 ? [tooManyCharacters(63)] : []
  if (!label1035Rule.test(name))
    problems.push(
      `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '${label1035}')`,
    )
  return problems
}

export function configMapKeyProblems(key: string): string[] {
  const problems = key.length > 253 ? [tooManyCharacters(253)] : []
  if (!configKeyRule.test(key))
    problems.push(
      `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '${configKey}')`,
    )
  else if (key === '.') problems.push("must not be '.'")
  else if (key.startsWith('..')) problems.push(key === '..' ? "must not be '..'" : "must not start with '..'")
  return problems
}

export function environmentNameProblems(name: string): string[] {
  if (name === '' || /[^\x20-\x7e]|=/.test(name))
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
  return []
}

export function portNameProblems(name: string): string[] {
  const problems: string[] = []
  if (name.length > 15) problems.push(tooManyCharacters(15))
  if (!portNameRule.test(name)) problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  if (!/[a-z]/.test(name)) problems.push('must contain at least one letter (a-z)')
  if (name.includes('--')) problems.push('must not contain consecutive hyphens')
  if (name.startsWith('-') || name.endsWith('-')) problems.push('must not begin or end with a hyphen')
  return problems
}

export function labelValueProblems(value: string): string[] {
  const problems = value.length > 63 ? [tooManyCharacters(63)] : []
  if (!labelValueRule.test(value))
    problems.push(
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    )
  return problems
}

export function qualifiedNameProblems(value: string): string[] {
  const slash = value.indexOf('/')
  const name = value.slice(slash + 1)
  const problems = slash > 0 ? dnsSubdomainProblems(value.slice(0, slash)).map((text) => `prefix part ${text}`) : []
  if (slash === 0) problems.push('prefix part must be non-empty')
  if (name === '') problems.push('name part must be non-empty')
  else if (name.length > 63) problems.push(`name part ${tooManyCharacters(63)}`)
  if (!qualifiedNameRule.test(name))
    problems.push(
      "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    )
  return problems
}

export const portRangeText = 'must be between 1 and 65535, inclusive'

export function checkPort(field: string, port: unknown): FieldError[] {
  return typeof port === 'number' && port >= 1 && port <= 65535 ? [] : [invalid(field, port ?? 0, portRangeText)]
}

/** A number, or the name of a port. */
export function checkPortOrName(field: string, port: unknown): FieldError[] {
  if (typeof port === 'string') return portNameProblems(port).map((text) => invalid(field, port, text))
  return checkPort(field, port)
}

/** A name that must be there and follow a rule. */
export function checkName(field: string, name: unknown, rule: (name: string) => string[]): FieldError[] {
  if (typeof name !== 'string' || name === '') return [required(field)]
  return rule(name).map((text) => invalid(field, name, text))
}

export function checkLabels(field: string, labels: Record<string, unknown> | undefined): FieldError[] {
  const errors: FieldError[] = []
  for (const [key, value] of Object.entries(labels ?? {})) {
    errors.push(...qualifiedNameProblems(key).map((text) => invalid(field, key, text)))
    if (typeof value === 'string') errors.push(...labelValueProblems(value).map((text) => invalid(field, value, text)))
  }
  return errors
}
