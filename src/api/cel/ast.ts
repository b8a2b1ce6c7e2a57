// The syntax tree of a CEL expression. The checker writes types and overloads into it; the evaluator and the cost
// estimate read them.

import type { Overload } from './declarations.ts'
import type { Type } from './types.ts'

interface Node {
  /** Where in the source an error about this node points. */
  pos: number
  /** Set by the checker. */
  type?: Type
}

export interface Literal extends Node {
  kind: 'literal'
  value: unknown
}
export interface Ident extends Node {
  kind: 'ident'
  name: string
  /** A name that stands for a type (`int`, `google.protobuf.Duration`): its value. */
  constant?: unknown
}
export interface Select extends Node {
  kind: 'select'
  operand: Expr
  field: string
  /** has(operand.field) */
  test: boolean
  /** `a.b` that is one declared name. */
  qualified?: Ident
}
export interface Call extends Node {
  kind: 'call'
  fn: string
  target?: Expr
  args: Expr[]
  /** Set by the checker: those that fit the static types. */
  overloads?: Overload[]
}
export interface ListExpr extends Node {
  kind: 'list'
  items: Expr[]
  /** Which items were written `?item`. */
  optional: Set<number>
}
export interface Entry {
  key: Expr
  value: Expr
  optional: boolean
}
export interface MapExpr extends Node {
  kind: 'map'
  entries: Entry[]
}
export interface StructField {
  name: string
  value: Expr
  optional: boolean
  pos: number
}
export interface StructExpr extends Node {
  kind: 'struct'
  name: string
  fields: StructField[]
}
export interface Fold extends Node {
  kind: 'fold'
  range: Expr
  iter: string
  /** The value variable of a two-variable macro; `iter` is then index or key. */
  iter2?: string
  accu: string
  init: Expr
  condition: Expr
  step: Expr
  result: Expr
}
export type Expr = Literal | Ident | Select | Call | ListExpr | MapExpr | StructExpr | Fold

export const literal = (pos: number, value: unknown): Literal => ({ kind: 'literal', pos, value })
export const ident = (pos: number, name: string): Ident => ({ kind: 'ident', pos, name })
export const call = (pos: number, fn: string, ...args: Expr[]): Call => ({ kind: 'call', pos, fn, args })
export const memberCall = (pos: number, fn: string, target: Expr, ...args: Expr[]): Call => ({
  kind: 'call',
  pos,
  fn,
  target,
  args,
})
export const list = (pos: number, ...items: Expr[]): ListExpr => ({ kind: 'list', pos, items, optional: new Set() })

/** `a.b.c` as one name, or undefined when the expression is no chain of names. */
export function qualifiedName(expr: Expr): string | undefined {
  if (expr.kind === 'ident') return expr.name
  if (expr.kind !== 'select' || expr.test) return undefined
  const operand = qualifiedName(expr.operand)
  return operand === undefined ? undefined : `${operand}.${expr.field}`
}
