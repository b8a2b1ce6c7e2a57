// The expressions of one policy for one request and one param: variables are evaluated when they are named, all share
// one budget.

import type { AdmissionInput } from '../../../api/cel/admission.ts'
import { celAdmission, celVariables } from '../../../api/cel/lazy.ts'
import type { Expression, Policy } from './policy.ts'

/** Kubernetes 1.36: what the expressions of one binding may cost together, and one of them. */
const budget = 10_000_000
const perExpression = 1_000_000

const outOfBudget = 'validation failed due to running out of cost budget, no further validation rules will be run'

/** Nothing more is evaluated for this binding. */
export class OutOfBudget extends Error {
  constructor() {
    super(outOfBudget)
  }
}

export interface Outcome {
  value?: unknown
  /** Why there is no value, as the user reads it. */
  error?: string
}

export class Evaluation {
  readonly lookup: (name: string) => unknown
  private left = budget

  constructor(policy: Policy, input: AdmissionInput) {
    const expressions = new Map(policy.variables.map(({ name, expression }) => [name, expression]))
    const variables = celVariables().createVariables([...expressions.keys()], (name) => {
      const outcome = this.evaluate(expressions.get(name)!)
      if (outcome.error !== undefined)
        throw new Error(`composited variable ${JSON.stringify(name)} fails to evaluate: ${outcome.error}`)
      return outcome.value
    })
    this.lookup = celAdmission().admissionValues(input, variables)
  }

  /** @throws OutOfBudget */
  evaluate({ source, program, problem }: Expression): Outcome {
    if (!program) return { error: `compilation error: ${problem}` }
    const outcome = program.evaluate(this.lookup, perExpression)
    this.left -= outcome.cost
    if (outcome.error instanceof OutOfBudget || this.left < 0) throw new OutOfBudget()
    if (outcome.error) return { error: `expression '${source}' resulted in error: ${outcome.error.message}` }
    return { value: outcome.value }
  }
}
