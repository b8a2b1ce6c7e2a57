// Names and lists inside the kinds of dynamic resource allocation (pkg/apis/resource/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems, dnsSubdomainProblems } from '../../api/names.ts'
import { duplicateValue, invalidValue, requiredValue, tooLong, tooMany } from '../../api/walk/rules.ts'
import { validateDriverName } from '../rules/drivers.ts'

export const listOf = (value: unknown): any[] => (Array.isArray(value) ? value : [])

/** The items of a list that may hold so many, each name once. */
export function validateList(
  list: any[],
  most: number,
  path: string,
  check: (item: any, path: string) => FieldError[],
  keyOf?: (item: any) => string,
): FieldError[] {
  const errors = list.length > most ? [tooMany(path, list.length, most)] : []
  const seen = new Set<string>()
  list.forEach((item, index) => {
    errors.push(...check(item ?? {}, `${path}[${index}]`))
    if (!keyOf) return
    const key = keyOf(item ?? {})
    if (seen.has(key)) errors.push(duplicateValue(`${path}[${index}]`, key))
    seen.add(key)
  })
  return errors
}

export function validateLabel(name: unknown, path: string): FieldError[] {
  if (typeof name !== 'string' || name === '') return [requiredValue(path)]
  return dnsLabelProblems(name).map((problem) => invalidValue(path, name, problem))
}

export function validateClassName(name: unknown, path: string): FieldError[] {
  if (typeof name !== 'string' || name === '') return [requiredValue(path)]
  return dnsSubdomainProblems(name).map((problem) => invalidValue(path, name, problem))
}

/** Subdomains with slashes between them. */
export function validatePoolName(name: unknown, path: string): FieldError[] {
  if (typeof name !== 'string' || name === '') return [requiredValue(path)]
  const errors = name.length > 253 ? [tooLong(path, 253)] : []
  for (const part of name.split('/'))
    errors.push(...dnsSubdomainProblems(part).map((problem) => invalidValue(path, part, problem)))
  return errors
}

const identifier =
  "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"

function validateIdentifier(id: string, path: string): FieldError[] {
  const errors = id.length > 32 ? [tooLong(path, 32)] : []
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(id) ? errors : [...errors, invalidValue(path, id, identifier)]
}

/** 'model' or 'example.com/model'. */
export function validateAttributeName(name: string, path: string, needsDomain = false): FieldError[] {
  const parts = name.split('/')
  const errors: FieldError[] = []
  if (parts.length === 1) errors.push(...validateIdentifier(name, path))
  if (parts.length === 2) {
    const [domain = '', id = ''] = parts
    if (!domain) errors.push(invalidValue(path, '', 'the domain must not be empty'))
    else errors.push(...validateDriverName(domain, path))
    if (!id) errors.push(invalidValue(path, '', 'the name must not be empty'))
    else errors.push(...validateIdentifier(id, path))
  }
  if (needsDomain && parts.length === 1)
    errors.push(invalidValue(path, name, 'a fully qualified name must be a domain and a name separated by a slash'))
  return errors
}
