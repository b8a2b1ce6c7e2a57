// CEL is loaded with its first use: most servers never meet an expression, and its modules would be a tenth of their
// memory. The modules are asked for as a whole, at the moment when there is something to compile.

// Node's own door to a module at once; a browser would import CEL as a whole.
const { process } = globalThis as any
const load = (path: string) => process.getBuiltinModule('node:module').createRequire(import.meta.url)(path)

/** x-kubernetes-validations of a schema. */
export const celRules = (): typeof import('./rules.ts') => load('./rules.ts')

/** Whether those rules compile and cost too much: `ruleProblems`. */
export const celRuleProblems = (): typeof import('./rule-problems.ts') => load('./rule-problems.ts')

/** Expressions about requests: policies. */
export const celAdmission = (): typeof import('./admission.ts') => load('./admission.ts')

/** Match conditions of webhooks and policies. */
export const celMatchConditions = (): typeof import('./match-conditions.ts') => load('./match-conditions.ts')

/** The variables of a policy. */
export const celVariables = (): typeof import('./variables.ts') => load('./variables.ts')

/** The type check of a policy. */
export const celPolicyCheck = (): typeof import('./policy-check.ts') => load('./policy-check.ts')
