// Field selectors ('status.phase!=Running,spec.nodeName=n1'): only fields that the kind offers can be asked for.
// Grammar and texts mirrored from apimachinery fields/selector.go (1.32).

import { ApiError } from './errors.ts'
import type { ApiObject } from './meta.ts'

export interface FieldTerm {
  field: string
  negated: boolean
  value: string
}

export interface FieldMatcher {
  terms: readonly FieldTerm[]
  everything: boolean
  matches(object: ApiObject): boolean
  /** The value that the selector demands for a field, if it does (metadata.name=x makes a list a get). */
  exact(field: string): string | undefined
}

/** Fields beyond metadata.name and metadata.namespace: path → value as text ('' when unset). */
export type SelectableFields = Record<string, (object: ApiObject) => string>

const common: SelectableFields = {
  'metadata.name': (object) => object.metadata.name ?? '',
  'metadata.namespace': (object) => object.metadata.namespace ?? '',
}

/** @throws ApiError BadRequest when it does not parse or asks for a field that the kind does not offer */
export function parseFieldSelector(text: string, fields: SelectableFields = {}): FieldMatcher {
  const terms = splitTerms(text)
    .filter((part) => part !== '')
    .map((part) => readTerm(part, text))
  const readers = terms.map((term) => {
    const read = ownReader(fields, term.field) ?? ownReader(common, term.field)
    if (!read) throw new ApiError('BadRequest', `field label not supported: ${term.field}`)
    return read
  })
  return {
    terms,
    everything: terms.length === 0,
    matches: (object) => {
      for (const [index, term] of terms.entries())
        if ((readers[index]!(object) === term.value) === term.negated) return false
      return true
    },
    exact: (field) => terms.find((term) => term.field === field && !term.negated)?.value,
  }
}

const ownReader = (fields: SelectableFields, name: string) => (Object.hasOwn(fields, name) ? fields[name] : undefined)

/** Splits at commas that are not escaped. */
function splitTerms(text: string): string[] {
  const terms: string[] = []
  let start = 0
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === ',') {
      terms.push(text.slice(start, at))
      start = at + 1
    }
  }
  terms.push(text.slice(start))
  return terms
}

function readTerm(term: string, selector: string): FieldTerm {
  const at = term.search(/!=|=/)
  if (at < 0) throw new ApiError('BadRequest', `invalid selector: '${selector}'; can't understand '${term}'`)
  const negated = term[at] === '!'
  const operator = negated || term[at + 1] === '=' ? 2 : 1
  return { field: term.slice(0, at), negated, value: unescapeValue(term.slice(at + operator)) }
}

function unescapeValue(value: string): string {
  let plain = ''
  for (let at = 0; at < value.length; at++) {
    const character = value[at]!
    if (character === ',' || character === '=')
      throw bad(`invalid field selector: unescaped character in value: ${character.charCodeAt(0)}`)
    if (character !== '\\') {
      plain += character
      continue
    }
    const escaped = value[++at]
    if (escaped === undefined) throw bad('invalid field selector: invalid escape sequence: \\')
    if (!'\\,='.includes(escaped)) throw bad(`invalid field selector: invalid escape sequence: \\${escaped}`)
    plain += escaped
  }
  return plain
}

const bad = (message: string): ApiError => new ApiError('BadRequest', message)

/** Makes any text safe as a value of a field selector. */
export const escapeFieldValue = (value: string): string => value.replace(/[\\,=]/g, (one) => `\\${one}`)
