// What an expression costs at least and at most, before any data is there: from the sizes that schemas promise. The
// rules are cel-go's (checker/cost.go), with Kubernetes' functions (1.36); a CustomResourceDefinition is refused by them.

import type { Call, Expr, Fold } from './ast.ts'
import { callEstimate, type Estimated, type Estimator } from './estimate-calls.ts'
import { add, type Cost, fixed, fixedSize, largest, type Range, times, union, unknownSize } from './range.ts'
import type { Type, TypeKind } from './types.ts'
import { lengthOf } from './values.ts'

export type { Cost } from './range.ts'

interface EntrySize {
  container: TypeKind
  key: Range
  value: Range
}
interface Local {
  path: string[]
  size?: Range
  entries?: EntrySize
}

const listCost = fixed(10)
const mapCost = fixed(30)
const structCost = fixed(40)
const scalar = new Set<TypeKind>(['bool', 'double', 'duration', 'int', 'timestamp', 'uint'])

export function estimate(expr: Expr, variables: Record<string, Type>): Cost {
  return new Coster(variables).cost(expr)
}

class Coster implements Estimator {
  private readonly variables: Record<string, Type>
  private readonly paths = new Map<Expr, string[]>()
  private readonly sizes = new Map<Expr, Range>()
  private readonly entries = new Map<Expr, EntrySize>()
  private readonly locals = new Map<string, Local[]>()

  constructor(variables: Record<string, Type>) {
    this.variables = variables
  }

  cost(expr: Expr): Cost {
    switch (expr.kind) {
      case 'literal':
        return fixed(0)
      case 'ident':
        this.paths.set(expr, this.local(expr.name)?.path ?? [expr.name])
        return fixed(1)
      case 'select':
        return this.select(expr)
      case 'call':
        return this.call(expr)
      case 'list':
        return this.list(expr)
      case 'map':
        return this.map(expr)
      case 'struct':
        return expr.fields.reduce((sum, field) => add(sum, this.cost(field.value)), structCost)
      case 'fold':
        return isBind(expr) ? this.bind(expr) : this.fold(expr)
    }
  }

  private local(name: string): Local | undefined {
    return this.locals.get(name)?.at(-1)
  }

  private push(name: string, local: Local): void {
    const stack = this.locals.get(name)
    if (stack) stack.push(local)
    else this.locals.set(name, [local])
  }

  private pop(name: string): void {
    this.locals.get(name)!.pop()
  }

  private path(expr: Expr): string[] {
    if (expr.kind === 'ident') {
      const local = this.local(expr.name)
      if (local) return local.path
    }
    return this.paths.get(expr) ?? []
  }

  private select(expr: Expr & { kind: 'select' }): Cost {
    if (expr.qualified) {
      this.paths.set(expr, [expr.qualified.name])
      return this.cost(expr.qualified)
    }
    const operand = this.cost(expr.operand)
    // Kubernetes: a presence test costs nothing but its operand.
    if (expr.test) return operand
    const kind = expr.operand.type!.kind
    this.paths.set(expr, [...this.path(expr.operand), expr.field])
    return kind === 'map' || kind === 'struct' || kind === 'param' ? add(operand, fixed(1)) : operand
  }

  private call(expr: Call): Cost {
    if (expr.fn === 'dyn') {
      const cost = this.cost(expr.args[0]!)
      this.copy(expr, expr.args[0]!)
      return add(fixed(1), cost)
    }
    const costs = expr.args.map((arg) => this.cost(arg))
    const target = expr.target ? this.cost(expr.target) : fixed(0)
    let result: Range | undefined
    let total: Cost = { min: largest, max: 0 }
    for (const overload of expr.overloads ?? []) {
      const one = this.callCost(expr, overload.id, costs)
      total = union(total, one.cost)
      if (one.size) result = result ? union(result, one.size) : one.size
      const list = overload.id === 'index_list'
      if (list || overload.id === 'index_map') {
        result = this.entriesOf(expr.args[0]!)?.value
        this.paths.set(expr, [...this.path(expr.args[0]!), list ? '@items' : '@values'])
      }
      result ??= this.size(expr)
    }
    if (result) this.sizes.set(expr, result)
    return (expr.overloads?.length ?? 0) === 0 ? fixed(0) : add(target, total)
  }

  private callCost(expr: Call, id: string, costs: Cost[]): Estimated {
    const [a, b, c] = expr.args as [Expr, Expr, Expr]
    if (id === 'logical_and' || id === 'logical_or')
      return { cost: { min: costs[0]!.min, max: add(costs[0]!, costs[1]!).max } }
    if (id === 'conditional') {
      const [x, y] = [this.entriesOf(b), this.entriesOf(c)]
      if (x && y) this.entries.set(expr, joinEntries(x, y))
      return { cost: add(costs[0]!, union(costs[1]!, costs[2]!)), size: union(this.sizeOf(b), this.sizeOf(c)) }
    }
    if (id === 'add_list' || id === 'add_string' || id === 'add_bytes') {
      const [x, y] = [this.entriesOf(a), this.entriesOf(b)]
      if (x && y) this.entries.set(expr, joinEntries(x, y))
    }
    const own = callEstimate(expr, id, this)
    return { cost: costs.reduce(add, own.cost), size: own.size }
  }

  private list(expr: Expr & { kind: 'list' }): Cost {
    let item: Range = { min: expr.items.length === 0 ? 0 : largest, max: 0 }
    let sum = fixed(0)
    for (const one of expr.items) {
      sum = add(sum, this.cost(one))
      item = union(item, this.sizeOf(one))
    }
    this.entries.set(expr, { container: 'list', key: fixedSize(1), value: item })
    return add(sum, listCost)
  }

  private map(expr: Expr & { kind: 'map' }): Cost {
    const none = expr.entries.length === 0
    let key: Range = { min: none ? 0 : largest, max: 0 }
    let value = key
    let sum = fixed(0)
    for (const entry of expr.entries) {
      sum = add(add(sum, this.cost(entry.key)), this.cost(entry.value))
      key = union(key, this.sizeOf(entry.key))
      value = union(value, this.sizeOf(entry.value))
    }
    this.entries.set(expr, { container: 'map', key, value })
    return add(sum, mapCost)
  }

  private bind(expr: Fold): Cost {
    const sum = add(this.cost(expr.range), this.cost(expr.init))
    this.push(expr.accu, { path: this.path(expr.init), size: this.size(expr.init), entries: this.entriesOf(expr.init) })
    const total = add(sum, this.cost(expr.result))
    this.pop(expr.accu)
    this.copy(expr, expr.result)
    return total
  }

  private fold(expr: Fold): Cost {
    let sum = add(this.cost(expr.range), this.cost(expr.init))
    this.push(expr.accu, { path: this.path(expr.init), size: this.size(expr.init), entries: this.entriesOf(expr.init) })
    this.pushIterators(expr)
    const each = add(this.cost(expr.step), this.cost(expr.condition))
    this.pop(expr.iter)
    if (expr.iter2) this.pop(expr.iter2)
    sum = add(sum, this.cost(expr.result))
    this.pop(expr.accu)
    const count = this.sizeOf(expr.range)
    sum = add(sum, times(count, each))
    if (expr.init.kind === 'literal') {
      const size = this.size(expr.init)
      if (size) this.sizes.set(expr, size)
    } else if (expr.init.kind === 'list' || expr.init.kind === 'map') {
      this.sizes.set(expr, count)
      const entries = this.entriesOf(expr.step)
      if (entries) this.entries.set(expr, entries)
    }
    return sum
  }

  private pushIterators(expr: Fold): void {
    const entries = this.entriesOf(expr.range)
    const path = this.path(expr.range)
    const list = (entries?.container ?? expr.range.type!.kind) === 'list'
    const keys: Local = { path: [...path, list ? '@indices' : '@keys'], size: entries?.key }
    const values: Local = { path: [...path, list ? '@items' : '@values'], size: entries?.value }
    if (expr.iter2) {
      this.push(expr.iter, keys)
      this.push(expr.iter2, values)
    } else this.push(expr.iter, list ? values : keys)
  }

  private copy(to: Expr, from: Expr): void {
    const size = this.size(from)
    const entries = this.entriesOf(from)
    if (size) this.sizes.set(to, size)
    if (entries) this.entries.set(to, entries)
  }

  private entriesOf(expr: Expr): EntrySize | undefined {
    return this.entries.get(expr) ?? (expr.kind === 'ident' ? this.local(expr.name)?.entries : undefined)
  }

  sizeOf(expr: Expr): Range {
    return this.size(expr) ?? unknownSize
  }

  private size(expr: Expr): Range | undefined {
    const known = this.sizes.get(expr) ?? literalSize(expr)
    if (known) return known
    const path = this.path(expr)
    const promised = this.promised(path)
    if (promised) {
      this.sizes.set(expr, promised)
      return promised
    }
    if (isScalar(expr.type)) return fixedSize(1)
    return expr.kind === 'ident' ? this.local(expr.name)?.size : undefined
  }

  /** The size of the items of a list, by their schema. */
  itemSize(expr: Expr): { type: Type; size: Range } | undefined {
    const [item] = expr.type!.params
    if (!item || (expr.type!.kind !== 'list' && expr.type!.kind !== 'map' && expr.type!.kind !== 'optional'))
      return undefined
    const path = this.path(expr)
    return { type: item, size: (path.length > 0 ? this.promised([...path, '@items']) : undefined) ?? unknownSize }
  }

  /** What the schema says of the value at a path. */
  private promised(path: string[]): Range | undefined {
    // Upstream starts at self whatever the first step is: parts of a computed list count as large as the whole of it.
    let type = path.length === 0 ? undefined : (this.variables[path[0]!] ?? this.variables.self)
    for (const step of path.slice(1)) {
      if (!type) return undefined
      if (step === '@items' || step === '@values') type = type.params.at(-1)
      else if (step === '@keys') type = type.kind === 'map' ? type.params[0] : undefined
      else if (step === '@indices') return undefined
      else type = type.field?.(step)
    }
    return type?.maxElements === undefined ? undefined : { min: 0, max: type.maxElements }
  }
}

const isBind = ({ range, condition, accu }: Fold): boolean =>
  range.kind === 'list' &&
  range.items.length === 0 &&
  condition.kind === 'literal' &&
  condition.value === false &&
  accu !== '@result'

const joinEntries = (a: EntrySize, b: EntrySize): EntrySize => ({
  container: a.container,
  key: union(a.key, b.key),
  value: union(a.value, b.value),
})

const isScalar = (type: Type | undefined): boolean =>
  type !== undefined && (scalar.has(type.kind) || (type.kind === 'optional' && isScalar(type.params[0])))

function literalSize(expr: Expr): Range | undefined {
  if (expr.kind === 'list') return fixedSize(expr.items.length)
  if (expr.kind === 'map') return fixedSize(expr.entries.length)
  if (expr.kind !== 'literal') return undefined
  if (typeof expr.value === 'string') return fixedSize(lengthOf(expr.value))
  return fixedSize(expr.value instanceof Uint8Array ? expr.value.length : 1)
}
