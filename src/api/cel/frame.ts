// One evaluation under way: what it may look up, what it has cost, and errors that wait for something to decide.

import { CelCostExceeded } from './problem.ts'

/** One evaluation: names, local variables, and the cost so far. */
export class Frame {
  readonly variables: (name: string) => unknown
  readonly limit: number
  readonly locals: unknown[] = []
  cost = 0

  constructor(variables: (name: string) => unknown, limit: number) {
    this.variables = variables
    this.limit = limit
  }

  charge(cost: number): void {
    this.cost += cost
    if (this.cost > this.limit) throw new CelCostExceeded()
  }
}

export type Program = (frame: Frame) => unknown

/** An error that waits in an accumulator until something decides. */
export class Failure {
  readonly error: Error
  constructor(error: Error) {
    this.error = error
  }
}

export function attempt(program: Program, frame: Frame): unknown {
  try {
    return program(frame)
  } catch (error) {
    if (error instanceof CelCostExceeded || !(error instanceof Error)) throw error
    return new Failure(error)
  }
}

export function reject(value: unknown): unknown {
  if (value instanceof Failure) throw value.error
  return value
}
