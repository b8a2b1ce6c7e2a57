// A checked tree as functions that compute its value and count what they cost. What is charged, and when, follows
// cel-go's interpreter (1.36's): a name with its selections is one attribute, constant lists and conversions are folded.

import { listProgram, mapProgram, structProgram } from './aggregates.ts'
import type { Call, Expr, Fold, Select } from './ast.ts'
import { attributeCost, isAttribute } from './attribute.ts'
import { constantOf } from './constant.ts'
import { invoke } from './dispatch.ts'
import { attempt, type Program, reject } from './frame.ts'
import { patternProblem } from './library/regex.ts'
import { at, elementsOf, isPresent, isPrimitive, optionalAt, present, selectField } from './lookup.ts'
import { conditional, logical, notStrictlyFalse, otherwise } from './operators.ts'
import { CelError } from './problem.ts'
import { CelMap, mapKey, Optional } from './values.ts'

/** @throws CelError when a constant part of it has no value. */
export function plan(expr: Expr): Program {
  const constant = constantOf(expr)
  return constant ? () => constant.value : new Planner().plan(expr)
}

class Planner {
  /** Slots of local variables by name. */
  private readonly slots: Map<string, number>[] = []
  private next = 0

  /** @param bare the attribute is part of a larger one: its own charge falls away. */
  plan(expr: Expr, bare = false): Program {
    const constant = constantOf(expr)
    if (constant) return () => constant.value
    switch (expr.kind) {
      case 'ident':
        return this.ident(expr.name, bare)
      case 'select':
        return expr.qualified ? this.ident(expr.qualified.name, bare) : this.select(expr, bare)
      case 'list':
        return listProgram(expr, (part) => this.plan(part))
      case 'map':
        return mapProgram(expr, (part) => this.plan(part))
      case 'struct':
        return structProgram(expr, (part) => this.plan(part))
      case 'fold':
        return this.fold(expr)
      case 'call':
        return this.call(expr, bare)
      default:
        throw new Error('a literal is constant')
    }
  }

  private ident(name: string, bare: boolean): Program {
    const cost = bare ? 0 : 1
    for (let i = this.slots.length - 1; i >= 0; i--) {
      const slot = this.slots[i]!.get(name)
      if (slot === undefined) continue
      return (frame) => {
        frame.charge(cost)
        return frame.locals[slot]
      }
    }
    return (frame) => {
      frame.charge(cost)
      const value = frame.variables(name)
      if (value === undefined) throw new CelError(`no such attribute(s): ${name}`)
      return value
    }
  }

  private operand(expr: Expr): Program {
    return this.plan(expr, isAttribute(expr))
  }

  private select(expr: Select, bare: boolean): Program {
    const operand = this.operand(expr.operand)
    const { field } = expr
    if (expr.test) {
      return (frame) => {
        const value = operand(frame)
        frame.charge(1)
        return isPresent(value, field)
      }
    }
    const cost = 1 + attributeCost(expr, bare)
    return (frame) => {
      const value = operand(frame)
      frame.charge(cost)
      return value instanceof CelMap ? present(value.get(field), field) : selectField(value, field)
    }
  }

  private fold(expr: Fold): Program {
    const range = this.plan(expr.range)
    const init = this.plan(expr.init)
    const accuSlot = this.next++
    this.slots.push(new Map([[expr.accu, accuSlot]]))
    const [first, second] = [this.next++, this.next++]
    this.slots.push(
      new Map(
        expr.iter2
          ? [
              [expr.iter, first],
              [expr.iter2, second],
            ]
          : [[expr.iter, first]],
      ),
    )
    const condition = this.plan(expr.condition)
    const step = this.plan(expr.step)
    this.slots.pop()
    const result = this.plan(expr.result)
    this.slots.pop()
    const two = expr.iter2 !== undefined
    return (frame) => {
      const { locals } = frame
      const over = range(frame)
      const items = elementsOf(over, two)
      locals[accuSlot] = attempt(init, frame)
      for (const [key, value] of items) {
        locals[first] = key
        locals[second] = value
        if (reject(condition(frame)) === false) break
        locals[accuSlot] = attempt(step, frame)
      }
      return reject(result(frame))
    }
  }

  private call(expr: Call, bare: boolean): Program {
    switch (expr.fn) {
      case '_&&_':
        return logical(this.plan(expr.args[0]!), this.plan(expr.args[1]!), false)
      case '_||_':
        return logical(this.plan(expr.args[0]!), this.plan(expr.args[1]!), true)
      case '_?_:_':
        return conditional(this.plan(expr.args[0]!), this.operand(expr.args[1]!), this.operand(expr.args[2]!))
      case '@not_strictly_false':
        return notStrictlyFalse(this.plan(expr.args[0]!))
      case '_[_]':
      case '_[?_]':
      case '_?._':
        return this.index(expr, bare)
      case 'or':
      case 'orValue':
        if (expr.overloads!.every((overload) => overload.id.startsWith('optional_')))
          return otherwise(this.plan(expr.target!), expr.fn, this.plan(expr.args[0]!))
        break
      case 'find':
      case 'findAll':
        checkPattern(expr.args[0]!)
        break
      case '@in': {
        const members = constantOf(expr.args[1]!)
        if (members && Array.isArray(members.value) && members.value.every(isPrimitive))
          return this.membership(expr, members.value)
      }
    }
    const args = (expr.target ? [expr.target, ...expr.args] : expr.args).map((arg) => this.plan(arg))
    if (args.length === 1) {
      const [first] = args as [Program]
      return (frame) => invoke(frame, expr, [attempt(first, frame)])
    }
    if (args.length === 2) {
      const [first, second] = args as [Program, Program]
      return (frame) => invoke(frame, expr, [attempt(first, frame), attempt(second, frame)])
    }
    // From three arguments on, the first error ends the call before it is counted.
    return (frame) =>
      invoke(
        frame,
        expr,
        args.map((arg) => reject(arg(frame))),
      )
  }

  private membership(expr: Call, members: unknown[]): Program {
    if (members.length === 0) return () => false
    const value = this.plan(expr.args[0]!)
    const set = new Set(members.map(mapKey))
    return (frame) => set.has(mapKey(reject(value(frame))))
  }

  private index(expr: Call, bare: boolean): Program {
    const operand = this.operand(expr.args[0]!)
    const index = this.operand(expr.args[1]!)
    const base = attributeCost(expr, bare)
    const optional = expr.fn !== '_[_]'
    return (frame) => {
      const value = reject(operand(frame))
      const key = reject(index(frame))
      if (!optional && !(value instanceof Optional)) {
        frame.charge(1 + base)
        return at(value, key)
      }
      const found = optionalAt(value, key)
      // What is not there was not looked at.
      frame.charge(found.present ? 1 + base : base)
      return found
    }
  }
}

/** @throws CelError */
function checkPattern(pattern: Expr): void {
  const problem = pattern.kind === 'literal' ? patternProblem(String(pattern.value)) : undefined
  if (problem !== undefined) throw new CelError(problem)
}
