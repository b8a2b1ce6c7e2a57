// The parts of an expression whose value is known before it runs: literals, enums, what is made of them, conversions.

import type { Expr } from './ast.ts'
import { dispatch } from './dispatch.ts'
import { buildMap } from './lookup.ts'

const conversions = new Set([
  'bool',
  'bytes',
  'double',
  'duration',
  'dyn',
  'int',
  'string',
  'timestamp',
  'type',
  'uint',
])

/** A value that needs no frame. */
export function constantOf(expr: Expr): { value: unknown } | undefined {
  if (expr.kind === 'literal') return { value: expr.value }
  if (expr.kind === 'ident' && expr.constant !== undefined) return { value: expr.constant }
  if (expr.kind === 'select' && expr.qualified) return constantOf(expr.qualified)
  if (expr.kind === 'list' && expr.optional.size === 0) {
    const items = expr.items.map((item) => constantOf(item))
    return items.every((item) => item) ? { value: items.map((item) => item!.value) } : undefined
  }
  if (expr.kind === 'map') {
    const entries = expr.entries.map(({ key, value }) => [constantOf(key), constantOf(value)] as const)
    if (expr.entries.some((entry) => entry.optional) || !entries.every(([key, value]) => key && value)) return undefined
    return { value: buildMap(entries.map(([key, value]) => [key!.value, value!.value])) }
  }
  if (expr.kind === 'call' && conversions.has(expr.fn) && expr.args.length === 1 && !expr.target) {
    const argument = constantOf(expr.args[0]!)
    return argument && { value: dispatch(expr, [argument.value]) }
  }
  return undefined
}
