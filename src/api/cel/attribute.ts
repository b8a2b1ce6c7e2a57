// Attributes: a name with its selections and indexes counts as one, as in cel-go's interpreter (1.36's).

import type { Call, Expr } from './ast.ts'

export const isQualified = (expr: Expr): boolean =>
  (expr.kind === 'select' && !expr.test && !expr.qualified) ||
  (expr.kind === 'call' && (expr.fn === '_[_]' || expr.fn === '_[?_]' || expr.fn === '_?._'))

export const isAttribute = (expr: Expr): boolean =>
  expr.kind === 'ident' ||
  (expr.kind === 'select' && !expr.test) ||
  isQualified(expr) ||
  (expr.kind === 'call' && expr.fn === '_?_:_')

/** What a selection adds for the attribute itself. */
export function attributeCost(expr: Expr, bare: boolean): number {
  if (bare) return 0
  let root = expr
  while (isQualified(root)) root = root.kind === 'select' ? root.operand : (root as Call).args[0]!
  return root.kind === 'call' && root.fn === '_?_:_' ? 0 : 1
}
