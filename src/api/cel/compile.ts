// An expression to something that can be evaluated: parse, check, plan, and what it costs at most. The one door to CEL
// for the rest of Tandem.

import type { Call, Expr } from './ast.ts'
import { check, type Scope } from './checker.ts'
import { accepts, type Library, type Overload } from './declarations.ts'
import { type Cost, estimate } from './estimate.ts'
import { plan } from './evaluate.ts'
import { Frame, type Program } from './frame.ts'
import { authorization } from './library/authorizer.ts'
import { namedFormats } from './library/formats.ts'
import { lists } from './library/lists.ts'
import { net } from './library/net.ts'
import { optionals } from './library/optional.ts'
import { quantities } from './library/quantity.ts'
import { patternProblem, regex } from './library/regex.ts'
import { semver } from './library/semver.ts'
import { standard, typeNames } from './library/standard.ts'
import { strings } from './library/strings.ts'
import { jsonPatch, url } from './library/url.ts'
import { parse } from './parser.ts'
import { CelCompileError, CelIssue } from './problem.ts'
import { sameType, type Type } from './types.ts'
import { children } from './walk.ts'

/** Kubernetes 1.36: what one expression may cost (cel.PerCallLimit). */
export const perCallLimit = 1_000_000
/** What the rules of one object, or one policy binding, may cost together (cel.RuntimeCELCostBudget). */
export const runtimeBudget = 10_000_000
/** What the match conditions of one webhook or policy may cost together. */
export const matchConditionsBudget = 2_500_000

export interface CelOptions {
  /** What the expression may name. `authorizer.requestResource` and its like are names too. */
  variables: Record<string, Type>
  /** Types that it may have; any when undefined. */
  resultTypes?: readonly Type[]
  /** The text when it has another. */
  resultProblem?: (type: Type) => string
  /** Object types that it may build: `Object{…}`. */
  structs?: (name: string) => Type | undefined
  /** With the functions of JSON patches. */
  patching?: boolean
}

export interface Compiled {
  readonly source: string
  readonly type: Type
  /** What it costs at least and at most, by the sizes that the types of the variables promise. */
  readonly cost: Cost
  /** Whether it names the variable. */
  uses(name: string): boolean
  /**
   * @param limit cost at which it is cancelled
   * @throws CelError, CelCostExceeded — with `cost` so far
   */
  evaluate(variables: (name: string) => unknown, limit?: number): Evaluation
}

export interface Evaluation {
  value?: unknown
  error?: Error
  cost: number
}

const functions = new Map<string, Overload[]>()
const patchFunctions = new Map<string, Overload[]>()
function register(into: Map<string, Overload[]>, library: Library): void {
  for (const overload of library) into.set(overload.fn, [...(into.get(overload.fn) ?? []), overload])
}
const libraries = [
  standard,
  strings,
  lists,
  regex,
  url,
  quantities,
  net,
  semver,
  namedFormats,
  optionals,
  authorization,
]
for (const library of libraries) register(functions, library)
register(patchFunctions, jsonPatch)

/** @throws CelCompileError */
export function compileCel(source: string, options: CelOptions): Compiled {
  const expr = parseOrThrow(source)
  const scope: Scope = {
    variable: (name) => (Object.hasOwn(options.variables, name) ? options.variables[name] : undefined),
    functions: (name) => functions.get(name) ?? (options.patching ? patchFunctions.get(name) : undefined),
    struct: options.structs,
    typeValue: (name) => typeNames.get(name),
  }
  const { type, issues } = check(expr, scope)
  if (issues.length === 0) issues.push(...literalIssues(expr))
  if (issues.length > 0) throw new CelCompileError(source, issues)
  const { resultTypes, resultProblem = () => 'unexpected type of result' } = options
  if (resultTypes && !resultTypes.some((one) => sameType(one, type))) throw new CelResultError(resultProblem(type))
  return createCompiled(source, expr, type, options.variables)
}

/** An expression that is right but has a type that its place does not take. */
export class CelResultError extends Error {}

function createCompiled(source: string, expr: Expr, type: Type, variables: Record<string, Type>): Compiled {
  const names = new Set<string>()
  collectNames(expr, names)
  let program: Program
  try {
    program = plan(expr)
  } catch (error) {
    throw new CelResultError(`program instantiation failed: ${(error as Error).message}`)
  }
  let cost: Cost | undefined
  return {
    source,
    type,
    get cost() {
      cost ??= estimate(expr, variables)
      return cost
    },
    uses: (name) => names.has(name),
    evaluate(lookup, limit = perCallLimit) {
      const frame = new Frame(lookup, limit)
      try {
        return { value: program(frame), cost: frame.cost }
      } catch (error) {
        if (!(error instanceof Error)) throw error
        return { error, cost: frame.cost }
      }
    },
  }
}

function parseOrThrow(source: string): Expr {
  try {
    return parse(source)
  } catch (error) {
    if (error instanceof CelIssue) throw new CelCompileError(source, [error])
    throw error
  }
}

function collectNames(expr: Expr, names: Set<string>): void {
  if (expr.kind === 'ident') names.add(expr.name)
  if (expr.kind === 'select' && expr.qualified) names.add(expr.qualified.name)
  for (const child of children(expr)) collectNames(child, names)
}

/** Literals whose conversion can be tried now: patterns, durations, timestamps. */
function literalIssues(expr: Expr): CelIssue[] {
  const issues = expr.kind === 'call' ? callIssues(expr) : []
  for (const child of children(expr)) issues.push(...literalIssues(child))
  return issues
}

function callIssues(expr: Call): CelIssue[] {
  const argument = expr.args.at(-1)
  if (argument?.kind !== 'literal') return []
  const { value, pos } = argument
  if (expr.fn === 'matches') {
    return patternProblem(String(value)) === undefined ? [] : [new CelIssue(pos, 'invalid matches argument')]
  }
  if ((expr.fn !== 'duration' && expr.fn !== 'timestamp') || expr.args.length !== 1 || expr.target) return []
  try {
    expr.overloads!.find((overload) => accepts(overload.args[0]!, value))?.run(value)
    return []
  } catch {
    return [new CelIssue(pos, `invalid ${expr.fn} argument`)]
  }
}
