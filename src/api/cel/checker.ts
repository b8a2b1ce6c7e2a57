// The type check of cel-go: inference with type parameters, overload resolution, its messages.

import {
  type Call,
  type Expr,
  type Fold,
  type Ident,
  type ListExpr,
  type MapExpr,
  qualifiedName,
  type Select,
  type StructExpr,
} from './ast.ts'
import type { Overload } from './declarations.ts'
import { Substitution } from './inference.ts'
import { CelIssue } from './problem.ts'
import type { Type } from './types.ts'
import * as types from './types.ts'
import { typeOf } from './values.ts'

/** What an expression may refer to. */
export interface Scope {
  variable(name: string): Type | undefined
  functions(name: string): readonly Overload[] | undefined
  /** Object types that an expression may build: `Object{…}`. */
  struct?(name: string): Type | undefined
  /** A name that stands for a type (`int`): its value. */
  typeValue(name: string): unknown
}

/** Writes types and overloads into the tree. Empty: it is well typed. */
export function check(expr: Expr, scope: Scope): { type: Type; issues: CelIssue[] } {
  const checker = new Checker(scope)
  const type = checker.check(expr)
  checker.finish(expr)
  return { type: checker.types.resolve(type), issues: checker.issues }
}

class Checker {
  readonly issues: CelIssue[] = []
  readonly types = new Substitution()
  private readonly scope: Scope
  private readonly locals: Map<string, Type>[] = []
  private readonly seen: Expr[] = []
  /** How many calls of `format` are around. */
  private formats = 0

  constructor(scope: Scope) {
    this.scope = scope
  }

  check(expr: Expr): Type {
    const type = this.infer(expr)
    expr.type = type
    this.seen.push(expr)
    return type
  }

  /** Parameters that stayed open are dyn. */
  finish(_root: Expr): void {
    for (const expr of this.seen) expr.type = this.types.resolve(expr.type!)
  }

  private issue(pos: number, message: string): Type {
    this.issues.push(new CelIssue(pos, message))
    return types.errorType
  }

  private infer(expr: Expr): Type {
    switch (expr.kind) {
      case 'literal':
        return typeOf(expr.value)
      case 'ident':
        return this.ident(expr) ?? this.issue(expr.pos, `undeclared reference to '${expr.name}' (in container '')`)
      case 'select':
        return this.select(expr)
      case 'call':
        return this.call(expr)
      case 'list':
        return this.list(expr)
      case 'map':
        return this.map(expr)
      case 'struct':
        return this.struct(expr)
      case 'fold':
        return this.fold(expr)
    }
  }

  private local(name: string): Type | undefined {
    for (let i = this.locals.length - 1; i >= 0; i--) {
      const type = this.locals[i]!.get(name)
      if (type) return type
    }
    return undefined
  }

  private ident(expr: Ident): Type | undefined {
    const declared = this.local(expr.name) ?? this.scope.variable(expr.name)
    if (declared) return declared
    const value = this.scope.typeValue(expr.name)
    if (value === undefined) return undefined
    expr.constant = value
    return types.typeType
  }

  private select(expr: Select): Type {
    const name = expr.test ? undefined : qualifiedName(expr)
    if (name && !this.local(name.split('.')[0]!)) {
      const ident: Ident = { kind: 'ident', pos: expr.pos, name }
      const type = this.ident(ident)
      if (type) {
        ident.type = type
        expr.qualified = ident
        return type
      }
    }
    const field = this.field(this.check(expr.operand), expr.field, expr.pos, false)
    return expr.test ? types.boolType : field
  }

  private field(operand: Type, name: string, pos: number, optional: boolean): Type {
    let type = this.types.resolve(operand, false)
    const wrapped = type.kind === 'optional'
    if (wrapped) type = this.types.resolve(type.params[0]!, false)
    let result: Type
    if (type.kind === 'map') result = type.params[1]!
    else if (type.kind === 'struct') {
      result = type.field?.(name) ?? this.issue(pos, `undefined field '${name}'`)
    } else if (type.kind === 'param') {
      this.types.assignable(types.dynType, type)
      result = types.dynType
    } else if (types.isDyn(type)) result = types.dynType
    else return this.issue(pos, `type '${type.name}' does not support field selection`)
    return (wrapped || optional) && result.kind !== 'optional' ? types.optionalOf(result) : result
  }

  private call(expr: Call): Type {
    if (expr.fn === '_?._' && expr.args[1]!.kind === 'literal') {
      this.check(expr.args[1]!)
      expr.overloads = [...(this.scope.functions('_?._') ?? [])]
      return this.field(this.check(expr.args[0]!), String(expr.args[1]!.value), expr.pos, true)
    }
    if (expr.target) {
      // `sets.contains(a, b)`: a function whose name has dots.
      const prefix = qualifiedName(expr.target)
      const root = prefix?.split('.')[0]
      const name = `${prefix}.${expr.fn}`
      if (prefix && root && !this.local(root) && this.scope.functions(name)) {
        expr.fn = name
        expr.target = undefined
      }
    }
    const format = expr.fn === 'format' ? 1 : 0
    this.formats += format
    const args = [...(expr.target ? [expr.target] : []), ...expr.args].map((arg) => this.check(arg))
    this.formats -= format
    const declared = this.scope.functions(expr.fn)
    if (!declared) return this.issue(expr.pos, `undeclared reference to '${expr.fn}' (in container '')`)
    return this.resolve(expr, declared, args)
  }

  private resolve(expr: Call, declared: readonly Overload[], args: Type[]): Type {
    const member = expr.target !== undefined
    if (expr.fn === '_&&_' || expr.fn === '_||_') return this.logical(expr, declared, args)
    const fitting: Overload[] = []
    let result: Type | undefined
    for (const overload of declared) {
      if (overload.member !== member || overload.args.length !== args.length) continue
      const fresh = this.types.instantiate(overload)
      if (!this.types.allAssignable(args, fresh.args)) continue
      fitting.push(overload)
      const type = this.types.resolve(fresh.result, false)
      result = result === undefined || types.sameType(result, type) ? type : types.dynType
    }
    expr.overloads = fitting
    if (result) return result
    const shown = args.map((arg) => this.types.resolve(arg).name)
    const signature = member ? `${shown[0]}.(${shown.slice(1).join(', ')})` : `(${shown.join(', ')})`
    return this.issue(expr.pos, `found no matching overload for '${expr.fn}' applied to '${signature}'`)
  }

  private logical(expr: Call, declared: readonly Overload[], args: Type[]): Type {
    expr.overloads = [...declared]
    args.forEach((arg, i) => {
      if (this.types.assignable(arg, types.boolType)) return
      this.issue(expr.args[i]!.pos, `expected type 'bool' but found '${this.types.resolve(arg).name}'`)
    })
    return types.boolType
  }

  /** The type of all items of a literal: they must agree. */
  private join(previous: Type | undefined, next: Type, pos: number): Type {
    if (!previous) return next
    if (this.types.assignable(next, previous))
      return previous.kind === 'param' ? next : this.types.general(previous, next)
    // The arguments of format are of many types.
    if (this.formats > 0) return types.dynType
    return this.issue(
      pos,
      `expected type '${this.types.resolve(previous).name}' but found '${this.types.resolve(next).name}'`,
    )
  }

  private unwrap(type: Type, optional: boolean, pos: number): Type {
    if (!optional || types.isDyn(type)) return type
    const resolved = this.types.resolve(type, false)
    if (resolved.kind === 'optional') return resolved.params[0]!
    return this.issue(pos, `expected type 'optional_type(${resolved.name})' but found '${resolved.name}'`)
  }

  private list(expr: ListExpr): Type {
    let item: Type | undefined
    expr.items.forEach((entry, i) => {
      item = this.join(item, this.unwrap(this.check(entry), expr.optional.has(i), entry.pos), entry.pos)
    })
    return types.listOf(item ?? this.types.fresh())
  }

  private map(expr: MapExpr): Type {
    let key: Type | undefined
    let value: Type | undefined
    for (const entry of expr.entries) {
      key = this.join(key, this.check(entry.key), entry.key.pos)
      value = this.join(value, this.unwrap(this.check(entry.value), entry.optional, entry.value.pos), entry.value.pos)
    }
    return types.mapOf(key ?? this.types.fresh(), value ?? this.types.fresh())
  }

  private struct(expr: StructExpr): Type {
    const type = this.scope.struct?.(expr.name)
    for (const entry of expr.fields) {
      const value = this.unwrap(this.check(entry.value), entry.optional, entry.value.pos)
      if (!type) continue
      const field = type.field?.(entry.name)
      if (!field) this.issue(entry.pos, `undefined field '${entry.name}'`)
      else if (!this.types.assignable(value, field)) {
        const shown = this.types.resolve(value).name
        this.issue(
          entry.pos,
          `expected type of field '${entry.name}' is '${field.name}' but provided type is '${shown}'`,
        )
      }
    }
    return type ?? this.issue(expr.pos, `undeclared reference to '${expr.name}' (in container '')`)
  }

  private fold(expr: Fold): Type {
    const range = this.types.resolve(this.check(expr.range), false)
    const accu = this.check(expr.init)
    const [first, second] = this.elements(range, expr)
    const scope = new Map([[expr.accu, accu]])
    this.locals.push(scope)
    const inner = new Map([[expr.iter, first]])
    if (expr.iter2) inner.set(expr.iter2, second)
    this.locals.push(inner)
    this.expect(expr.condition, types.boolType)
    this.expect(expr.step, accu)
    this.locals.pop()
    const result = this.check(expr.result)
    this.locals.pop()
    return this.types.resolve(result, false)
  }

  private elements(range: Type, expr: Fold): [Type, Type] {
    if (range.kind === 'list')
      return expr.iter2 ? [types.intType, range.params[0]!] : [range.params[0]!, range.params[0]!]
    if (range.kind === 'map') return [range.params[0]!, range.params[1]!]
    if (range.kind === 'param') this.types.assignable(types.dynType, range)
    else if (!types.isDyn(range)) {
      this.issue(
        expr.range.pos,
        `expression of type '${this.types.resolve(range).name}' cannot be range of a comprehension (must be list, map, or dynamic)`,
      )
      return [types.errorType, types.errorType]
    }
    return [types.dynType, types.dynType]
  }

  private expect(expr: Expr, type: Type): void {
    const found = this.check(expr)
    if (this.types.assignable(found, type)) return
    const shown = [type, found].map((one) => this.types.resolve(one).name)
    this.issue(expr.pos, `expected type '${shown[0]}' but found '${shown[1]}'`)
  }
}
