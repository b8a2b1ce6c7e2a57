// The parts of a node of the syntax tree.

import type { Expr } from './ast.ts'

export function children(expr: Expr): Expr[] {
  switch (expr.kind) {
    case 'select':
      return expr.qualified ? [] : [expr.operand]
    case 'call':
      return expr.target ? [expr.target, ...expr.args] : expr.args
    case 'list':
      return expr.items
    case 'map':
      return expr.entries.flatMap(({ key, value }) => [key, value])
    case 'struct':
      return expr.fields.map(({ value }) => value)
    case 'fold':
      return [expr.range, expr.init, expr.condition, expr.step, expr.result]
    default:
      return []
  }
}
