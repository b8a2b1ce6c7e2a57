// Does an applied configuration fit the schema? Unlike decoding, server-side apply refuses undeclared fields and
// repeated list items. Texts of structured-merge-diff v4 typed/validate.go.

import { isPlainObject, own } from '../walk/plain.ts'
import type { Shape } from '../walk/shape.ts'
import { type Step, stepsText } from './field-set.ts'
import { itemStep } from './typed.ts'

/** What is wrong: ['.spec.foo: field not declared in schema', …]. */
export function typedProblems(value: unknown, shape: Shape): string[] {
  const problems: string[] = []
  check(value, shape, [], problems)
  return problems
}

/** One problem as it is, several under a heading. */
export const problemsText = (problems: string[]): string =>
  problems.length === 1 ? problems[0]! : ['errors:', ...problems.map((problem) => `  ${problem}`)].join('\n')

function check(value: unknown, shape: Shape, path: Step[], problems: string[]): void {
  if (value === null || value === undefined || problems.length >= 100) return
  const say = (text: string) => problems.push(path.length ? `${stepsText(path)}: ${text}` : text)
  switch (shape.kind) {
    case 'object':
    case 'map':
      if (isPlainObject(value)) checkMap(value, shape, path, problems)
      else say(`expected map, got &{${JSON.stringify(value)}}`)
      return
    case 'array':
      if (Array.isArray(value)) checkList(value, shape, path, problems)
      else say(`expected list, got &{${JSON.stringify(value)}}`)
      return
    case 'integer':
    case 'number':
      if (typeof value !== 'number') say(`expected numeric (int or float), got ${goType(value)}`)
      return
    case 'string':
      if (typeof value !== 'string')
        say(`expected string, got &value.valueUnstructured{Value:${JSON.stringify(value)}}`)
      return
    case 'boolean':
      if (typeof value !== 'boolean') say(`expected boolean, got &{${JSON.stringify(value)}}`)
      return
    case 'any':
      return
    default:
      if (typeof value === 'object') say(`expected any scalar, got &{${JSON.stringify(value)}}`)
  }
}

function goType(value: unknown): string {
  if (Array.isArray(value)) return '[]interface {}'
  if (typeof value === 'object') return 'map[string]interface {}'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

function checkMap(map: Record<string, unknown>, shape: Shape, path: Step[], problems: string[]): void {
  for (const name of Object.keys(map)) {
    const field = shape.fields.get(name) ?? shape.values
    path.push(`f:${name}`)
    if (field) check(own(map, name), field, path, problems)
    else if (!shape.open) problems.push(`${stepsText(path)}: field not declared in schema`)
    path.pop()
  }
}

function checkList(list: unknown[], shape: Shape, path: Step[], problems: string[]): void {
  const seen = new Set<Step>()
  for (const [index, item] of list.entries()) {
    let step: Step = `i:${index}`
    if (shape.associative) {
      try {
        step = itemStep(item, shape)
      } catch (error) {
        problems.push(`${stepsText(path)}: element ${index}: ${(error as Error).message}`)
        return
      }
      if (seen.has(step)) problems.push(`${stepsText(path)}: duplicate entries for key ${stepsText([step])}`)
      seen.add(step)
    }
    path.push(step)
    if (shape.items) check(item, shape.items, path, problems)
    path.pop()
  }
}
