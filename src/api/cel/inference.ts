// Type parameters and what they stand for: assignability as cel-go decides it.

import type { Overload } from './declarations.ts'
import type { Type } from './types.ts'
import * as types from './types.ts'

export class Substitution {
  private bound = new Map<string, Type>()
  private counter = 0

  fresh(): Type {
    return types.paramType(`_var${this.counter++}`)
  }

  /** A copy of an overload with parameters of its own. */
  instantiate(overload: Overload): { args: Type[]; result: Type } {
    const own = new Map<string, Type>()
    const replace = (type: Type): Type => {
      if (type.kind === 'param') {
        const fresh = own.get(type.name) ?? this.fresh()
        own.set(type.name, fresh)
        return fresh
      }
      return type.params.length === 0 ? type : types.withParams(type, type.params.map(replace))
    }
    return { args: overload.args.map(replace), result: replace(overload.result) }
  }

  /** The type with its parameters replaced; open ones become dyn unless they are to be kept. */
  resolve(type: Type, close = true): Type {
    if (type.kind === 'param') {
      const found = this.bound.get(type.name)
      return found ? this.resolve(found, close) : close ? types.dynType : type
    }
    if (type.params.length === 0) return type
    const params = type.params.map((param) => this.resolve(param, close))
    return params.every((param, i) => param === type.params[i]) ? type : types.withParams(type, params)
  }

  /** All or nothing: a failed attempt leaves no trace. */
  allAssignable(from: Type[], to: Type[]): boolean {
    const before = new Map(this.bound)
    if (from.every((type, i) => this.try(type, to[i]!))) return true
    this.bound = before
    return false
  }

  assignable(from: Type, to: Type): boolean {
    return this.allAssignable([from], [to])
  }

  /** The more general of two types of which one fits the other. */
  general(a: Type, b: Type): Type {
    return this.lessSpecific(a, b) ? a : b
  }

  private try(from: Type, to: Type): boolean {
    if (to.kind === 'param') {
      const bind = this.bind(from, to)
      if (bind !== undefined) return bind
    }
    if (from.kind === 'param') return this.bind(to, from) ?? false
    if (types.isDyn(from) || types.isDyn(to)) return true
    if (from.kind === 'null') return nullable(to)
    if (to.kind === 'null') return nullable(from)
    if (from.kind !== to.kind || from.params.length !== to.params.length) return false
    if (from.params.length === 0) return from.name === to.name
    return from.params.every((param, i) => this.try(param, to.params[i]!))
  }

  /** undefined: the parameter cannot stand for it, but nothing speaks against either. */
  private bind(type: Type, param: Type): boolean | undefined {
    if (type.kind === 'param' && type.name === param.name) return true
    const found = this.bound.get(param.name)
    if (found) {
      if (!this.try(type, found)) return false
      if (this.lessSpecific(type, found) && !this.mentions(type, param)) this.bound.set(param.name, type)
      return true
    }
    if (this.mentions(type, param)) return undefined
    this.bound.set(param.name, type)
    return true
  }

  private mentions(type: Type, param: Type): boolean {
    if (type.kind === 'param') {
      if (type.name === param.name) return true
      const found = this.bound.get(type.name)
      return found ? this.mentions(found, param) : false
    }
    return type.params.some((inner) => this.mentions(inner, param))
  }

  private lessSpecific(a: Type, b: Type): boolean {
    if (types.isDyn(a) || a.kind === 'param') return true
    if (types.isDyn(b) || b.kind === 'param') return false
    if (a.kind !== b.kind || a.params.length !== b.params.length) return false
    return a.params.every((param, i) => this.lessSpecific(param, b.params[i]!))
  }
}

const nullable = (type: Type): boolean =>
  ['null', 'struct', 'opaque', 'optional', 'timestamp', 'duration'].includes(type.kind)
