// Operators that do not compute all of their operands: and, or, the conditional, and what stands in for an absent value.

import { attempt, Failure, type Program, reject } from './frame.ts'
import { noSuchOverload } from './problem.ts'
import { Optional, typeName } from './values.ts'

/** Errors are absorbed when the other side decides. */
export function logical(left: Program, right: Program, decides: boolean): Program {
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

export function conditional(condition: Program, yes: Program, no: Program): Program {
  return (frame) => {
    const value = reject(condition(frame))
    if (typeof value !== 'boolean') throw noSuchOverload()
    return value ? yes(frame) : no(frame)
  }
}

/** What stands in for an absent value is computed only then. */
export function otherwise(optional: Program, fn: string, alternative: Program): Program {
  const whole = fn === 'or'
  return (frame) => {
    const found = reject(optional(frame))
    if (!(found instanceof Optional)) throw noSuchOverload(`${typeName(found)}.${fn}`)
    if (!found.present) return alternative(frame)
    return whole ? found : found.value
  }
}

export function notStrictlyFalse(value: Program): Program {
  return (frame) => {
    const found = attempt(value, frame)
    frame.charge(1)
    return found !== false
  }
}
