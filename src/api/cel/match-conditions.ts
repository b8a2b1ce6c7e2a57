// matchConditions of webhooks and policies: expressions that must all be true for them to be asked (facts of
// k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions, 1.36).

import { type AdmissionScope, compileAdmission, compileProblem } from './admission.ts'
import { type Compiled, matchConditionsBudget, perCallLimit } from './compile.ts'

export interface MatchCondition {
  name: string
  expression: string
}

export interface MatchOutcome {
  matches: boolean
  /** Expressions that had no value, when no other one was false: the failure policy decides. */
  error?: string
}

export type MatchConditions = (lookup: (name: string) => unknown) => MatchOutcome

/** Expressions that do not compile fail at each evaluation: they were refused when they were new. */
export function compileMatchConditions(
  conditions: readonly MatchCondition[],
  scope: AdmissionScope = { params: false, authorizer: true },
): MatchConditions {
  const compiled = conditions.map(({ expression }) => compileOne(expression, scope))
  return (lookup) => {
    const errors: string[] = []
    let budget = matchConditionsBudget
    for (const { expression, program, problem } of compiled) {
      if (!program) {
        errors.push(`compilation error: ${problem}`)
        continue
      }
      const outcome = program.evaluate(lookup, Math.min(perCallLimit, budget))
      budget -= outcome.cost
      if (budget < 0) {
        return {
          matches: false,
          error: 'validation failed due to running out of cost budget, no further validation rules will be run',
        }
      }
      if (outcome.error) errors.push(`expression '${expression}' resulted in error: ${outcome.error.message}`)
      else if (outcome.value !== true) return { matches: false }
    }
    if (errors.length === 0) return { matches: true }
    return { matches: false, error: errors.length === 1 ? errors[0]! : `[${errors.join(', ')}]` }
  }
}

function compileOne(
  expression: string,
  scope: AdmissionScope,
): { expression: string; program?: Compiled; problem?: string } {
  try {
    return { expression, program: compileAdmission(expression, 'bool', scope) }
  } catch (error) {
    return { expression, problem: compileProblem(error) }
  }
}
