// A call with its arguments: the overload that takes them, its result, and what that costs.

import type { Call } from './ast.ts'
import { callCost } from './cost.ts'
import { accepts, type Overload } from './declarations.ts'
import { Failure, type Frame } from './frame.ts'
import { noSuchOverload } from './problem.ts'
import { typeName } from './values.ts'

export function invoke(frame: Frame, expr: Call, args: unknown[]): unknown {
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

export const dispatch = (expr: Call, args: unknown[]): unknown => choose(expr, args).run(...args)

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
