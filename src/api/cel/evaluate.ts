// A checked tree as functions that compute its value and count what they cost. What is charged, and when, follows
// cel-go's interpreter (1.36's): a name with its selections is one attribute, constant lists and conversions are folded.

import type { Call, Expr, Fold, ListExpr, MapExpr, Select, StructExpr } from './ast.ts'
import { callCost } from './cost.ts'
import { accepts, type Overload } from './declarations.ts'
import { attempt, Failure, type Frame, type Program, reject } from './frame.ts'
import { patternProblem } from './library/regex.ts'
import {
  asOptional,
  at,
  buildMap,
  elementsOf,
  isPresent,
  isPrimitive,
  optionalAt,
  present,
  selectField,
} from './lookup.ts'
import { CelError, noSuchOverload } from './problem.ts'
import { CelMap, mapKey, Optional, typeName, ValueMap } from './values.ts'

const listCost = 10
const mapCost = 30
const structCost = 40
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

/** @throws CelError when a constant part of it has no value. */
export function plan(expr: Expr): Program {
  const constant = new Planner().constant(expr)
  return constant ? () => constant.value : new Planner().plan(expr)
}

class Planner {
  /** Slots of local variables by name. */
  private readonly slots: Map<string, number>[] = []
  private next = 0

  /** A value that needs no frame. */
  constant(expr: Expr): { value: unknown } | undefined {
    if (expr.kind === 'literal') return { value: expr.value }
    if (expr.kind === 'ident' && expr.constant !== undefined) return { value: expr.constant }
    if (expr.kind === 'select' && expr.qualified) return this.constant(expr.qualified)
    if (expr.kind === 'list' && expr.optional.size === 0) {
      const items = expr.items.map((item) => this.constant(item))
      return items.every((item) => item) ? { value: items.map((item) => item!.value) } : undefined
    }
    if (expr.kind === 'map') {
      const entries = expr.entries.map(({ key, value }) => [this.constant(key), this.constant(value)] as const)
      if (expr.entries.some((entry) => entry.optional) || !entries.every(([key, value]) => key && value))
        return undefined
      return { value: buildMap(entries.map(([key, value]) => [key!.value, value!.value])) }
    }
    if (expr.kind === 'call' && conversions.has(expr.fn) && expr.args.length === 1 && !expr.target) {
      const argument = this.constant(expr.args[0]!)
      return argument && { value: dispatch(expr, [argument.value]) }
    }
    return undefined
  }

  /** @param bare the attribute is part of a larger one: its own charge falls away. */
  plan(expr: Expr, bare = false): Program {
    const constant = this.constant(expr)
    if (constant) return () => constant.value
    switch (expr.kind) {
      case 'ident':
        return this.ident(expr.name, bare)
      case 'select':
        return expr.qualified ? this.ident(expr.qualified.name, bare) : this.select(expr, bare)
      case 'list':
        return this.list(expr)
      case 'map':
        return this.map(expr)
      case 'struct':
        return this.struct(expr)
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

  /** What a selection adds for the attribute itself. */
  private base(expr: Expr, bare: boolean): number {
    if (bare) return 0
    let root = expr
    while (isQualified(root)) root = root.kind === 'select' ? root.operand : (root as Call).args[0]!
    return root.kind === 'call' && root.fn === '_?_:_' ? 0 : 1
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
    const cost = 1 + this.base(expr, bare)
    return (frame) => {
      const value = operand(frame)
      frame.charge(cost)
      return value instanceof CelMap ? present(value.get(field), field) : selectField(value, field)
    }
  }

  private list(expr: ListExpr): Program {
    const items = expr.items.map((item) => this.plan(item))
    const { optional } = expr
    return (frame) => {
      const result: unknown[] = []
      items.forEach((item, i) => {
        const value = item(frame)
        if (!optional.has(i)) result.push(value)
        else if (asOptional(value).present) result.push(asOptional(value).value)
      })
      frame.charge(listCost)
      return result
    }
  }

  private map(expr: MapExpr): Program {
    const entries = expr.entries.map(({ key, value, optional }) => ({
      key: this.plan(key),
      value: this.plan(value),
      optional,
    }))
    return (frame) => {
      const built: [unknown, unknown][] = []
      for (const { key, value, optional } of entries) {
        const name = key(frame)
        const found = value(frame)
        if (!optional) built.push([name, found])
        else if (asOptional(found).present) built.push([name, asOptional(found).value])
      }
      frame.charge(mapCost)
      return buildMap(built)
    }
  }

  private struct(expr: StructExpr): Program {
    const fields = expr.fields.map((field) => ({ ...field, program: this.plan(field.value) }))
    const { name } = expr
    return (frame) => {
      const built: [unknown, unknown][] = []
      for (const field of fields) {
        const value = field.program(frame)
        if (!field.optional) built.push([field.name, value])
        else if (asOptional(value).present) built.push([field.name, asOptional(value).value])
      }
      frame.charge(structCost)
      const result = new ValueMap(built)
      result.typeName = name
      return result
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
        return this.logical(expr, false)
      case '_||_':
        return this.logical(expr, true)
      case '_?_:_':
        return this.conditional(expr)
      case '@not_strictly_false':
        return this.notStrictlyFalse(expr)
      case '_[_]':
      case '_[?_]':
      case '_?._':
        return this.index(expr, bare)
      case 'or':
      case 'orValue':
        if (expr.overloads!.every((overload) => overload.id.startsWith('optional_'))) return this.otherwise(expr)
        break
      case 'find':
      case 'findAll':
        checkPattern(expr.args[0]!)
        break
      case '@in': {
        const members = this.constant(expr.args[1]!)
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

  /** Errors are absorbed when the other side decides. */
  private logical(expr: Call, decides: boolean): Program {
    const left = this.plan(expr.args[0]!)
    const right = this.plan(expr.args[1]!)
    return (frame) => {
      const a = attempt(left, frame)
      if (a === decides) return decides
      const b = attempt(right, frame)
      if (b === decides) return decides
      if (a instanceof Failure) throw a.error
      if (b instanceof Failure) throw b.error
      if (typeof a !== 'boolean' || typeof b !== 'boolean') throw noSuchOverload()
      return !decides
    }
  }

  private conditional(expr: Call): Program {
    const condition = this.plan(expr.args[0]!)
    const yes = this.operand(expr.args[1]!)
    const no = this.operand(expr.args[2]!)
    return (frame) => {
      const value = reject(condition(frame))
      if (typeof value !== 'boolean') throw noSuchOverload()
      return value ? yes(frame) : no(frame)
    }
  }

  /** What stands in for an absent value is computed only then. */
  private otherwise(expr: Call): Program {
    const optional = this.plan(expr.target!)
    const alternative = this.plan(expr.args[0]!)
    const whole = expr.fn === 'or'
    return (frame) => {
      const found = reject(optional(frame))
      if (!(found instanceof Optional)) throw noSuchOverload(`${typeName(found)}.${expr.fn}`)
      if (!found.present) return alternative(frame)
      return whole ? found : found.value
    }
  }

  private notStrictlyFalse(expr: Call): Program {
    const value = this.plan(expr.args[0]!)
    return (frame) => {
      const found = attempt(value, frame)
      frame.charge(1)
      return found !== false
    }
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
    const base = this.base(expr, bare)
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

const isQualified = (expr: Expr): boolean =>
  (expr.kind === 'select' && !expr.test && !expr.qualified) ||
  (expr.kind === 'call' && (expr.fn === '_[_]' || expr.fn === '_[?_]' || expr.fn === '_?._'))

const isAttribute = (expr: Expr): boolean =>
  expr.kind === 'ident' ||
  (expr.kind === 'select' && !expr.test) ||
  isQualified(expr) ||
  (expr.kind === 'call' && expr.fn === '_?_:_')

/** @throws CelError */
function checkPattern(pattern: Expr): void {
  const problem = pattern.kind === 'literal' ? patternProblem(String(pattern.value)) : undefined
  if (problem !== undefined) throw new CelError(problem)
}

function invoke(frame: Frame, expr: Call, args: unknown[]): unknown {
  const failed = args.find((arg) => arg instanceof Failure)
  if (failed instanceof Failure) {
    // A call with an error costs as much as one with a small value in its place.
    const stand = args.map((arg) => (arg instanceof Failure ? null : arg))
    frame.charge(callCost(expr.overloads![0]!, stand, null))
    throw failed.error
  }
  const overload = choose(expr, args)
  const result = overload.run(...args)
  frame.charge(callCost(overload, args, result))
  return result
}

const dispatch = (expr: Call, args: unknown[]): unknown => choose(expr, args).run(...args)

function choose(expr: Call, args: unknown[]): Overload {
  for (const overload of expr.overloads!) {
    if (
      overload.unguarded
        ? overload.args.length === args.length
        : overload.args.every((type, i) => accepts(type, args[i]))
    ) {
      return overload
    }
  }
  if (/^[_@!-]/.test(expr.fn)) throw noSuchOverload()
  const names = args.map(typeName)
  throw noSuchOverload(
    expr.target ? `${names[0]}.${expr.fn}(${names.slice(1).join(', ')})` : `${expr.fn}(${names.join(', ')})`,
  )
}
