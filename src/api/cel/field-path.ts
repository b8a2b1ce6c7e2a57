// `fieldPath` of a validation rule: `.spec.list`, `.labels['a.b']`, checked against the schema it points into.

import type { Schema } from '../schema.ts'
import { letterEscapes as escapes } from './letter-escapes.ts'

const step = /^(?:\.([^.[\]]+)|\['((?:\\.|[^'\\])*)'\])/
/** As field paths are written (`spec.labels[a.b]`); undefined when it names nothing in the schema. */
export function normalizeFieldPath(path: string, schema: Schema): string | undefined {
  let result = ''
  let rest = path
  let here: Schema | undefined = schema
  while (rest !== '') {
    const match = step.exec(rest)
    if (!match || !here) return undefined
    const name: string | undefined = match[1] ?? decode(match[2]!)
    if (name === undefined) return undefined
    if (here.properties) {
      here = here.properties[name]
      if (!here) return undefined
      result += result === '' ? name : `.${name}`
    } else if (here.additionalProperties) {
      here = here.additionalProperties
      result += `[${name}]`
    } else return undefined
    rest = rest.slice(match[0].length)
  }
  return result === '' ? undefined : result
}

function decode(text: string): string | undefined {
  let wrong = false
  const result = text.replace(/\\(.)/g, (_match, ch: string) => {
    wrong ||= !Object.hasOwn(escapes, ch)
    return escapes[ch] ?? ''
  })
  return wrong ? undefined : result
}
