// Limits and defaults that controller-gen's markers give to fields and types, for the groups whose definitions are made by it.
// Rules in CEL are left out: the kinds' own files say them.

import type { Schema } from '../../src/api/schema.ts'
import type { GoField } from './go-types.ts'

type Markers = GoField['markers']

const groups = new Set(['gateway', 'volumesnapshot'])

/** `scope` is "<group>.<version>". */
export const isMarked = (scope: string): boolean => groups.has(scope.split('.')[0]!)

/** Fields that only the experimental channel has. */
export const isExperimental = ({ markers }: GoField): boolean => markers.experimental !== undefined

const numbers: Record<string, 'minimum' | 'maximum' | 'minLength' | 'maxLength' | 'minItems' | 'maxItems'> = {
  Minimum: 'minimum',
  Maximum: 'maximum',
  MinLength: 'minLength',
  MaxLength: 'maxLength',
  MinItems: 'minItems',
  MaxItems: 'maxItems',
}

const prefix = 'kubebuilder:validation:'

const unquoted = (text: string): string => (/^[`"].*[`"]$/.test(text) ? text.slice(1, -1) : text)

export function markedLimits(markers: Markers, { type }: Schema): Schema {
  const schema: Schema = {}
  for (const [marker, name] of Object.entries(numbers)) {
    const value = markers[prefix + marker]?.[0]
    if (value !== undefined) schema[name] = Number(value)
  }
  const most = markers[`${prefix}MaxProperties`]?.[0]
  if (most !== undefined) schema.maxProperties = Number(most)
  const pattern = markers[`${prefix}Pattern`]?.[0]
  if (pattern !== undefined) schema.pattern = unquoted(pattern)
  const values = markers[`${prefix}Enum`]?.[0]?.split(';')
  if (values) schema.enum = type === 'integer' ? values.map(Number) : values
  return schema
}

/** Go's literal of a map or list is JSON but for braces and bare names. */
export function markedDefault(markers: Markers): unknown {
  const text = markers['kubebuilder:default']?.[0]
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text.startsWith('{') ? literal(text) : text
  }
}

function literal(text: string): unknown {
  const tokens = text.match(/"[^"]*"|[{},:]|[^\s{},:"]+/g) ?? []
  let at = 0
  const plain = (token: string) => (token.startsWith('"') ? JSON.parse(token) : token)
  function value(): unknown {
    const token = tokens[at++]!
    if (token !== '{') return plain(token)
    const isMap = tokens[at + 1] === ':'
    const list: unknown[] = []
    const map: Record<string, unknown> = {}
    while (tokens[at] !== '}') {
      if (isMap) {
        const key = plain(tokens[at]!)
        at += 2
        map[key] = value()
      } else list.push(value())
      if (tokens[at] === ',') at++
    }
    at++
    return isMap ? map : list
  }
  return value()
}
