// x-kubernetes-validations: rules in CEL on the nodes of a schema, evaluated for an object (facts and texts of
// k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel, 1.36).

import { type FieldError, fieldErrorBody } from '../errors.ts'
import type { Schema, ValidationRule } from '../schema.ts'
import { equalJson } from '../walk/plain.ts'
import { byteLength } from './bytes.ts'
import { CelResultError, type Compiled, compileCel, runtimeBudget } from './compile.ts'
import { schemaValue } from './convert.ts'
import { escapeName } from './escape.ts'
import { normalizeFieldPath } from './field-path.ts'
import { hasRules } from './has-rules.ts'
import { CelCompileError, CelCostExceeded } from './problem.ts'
import { schemaType } from './schema-type.ts'
import { boolType, optionalOf, stringType, type Type } from './types.ts'
import { Optional } from './values.ts'

export interface RuleOutcome {
  errors: FieldError[]
  /** Errors of what an update did not change: it may stay. */
  warnings: string[]
  /** Negative: the budget was used up. */
  budget: number
}
export interface Rules {
  /** The schema has no rule: validate need not be called. */
  readonly empty: boolean
  /** @param old undefined when the object is created */
  validate(object: unknown, old?: unknown, options?: { budget?: number; path?: string }): RuleOutcome
}

/** One rule, compiled; or why it is not. */
export interface CompiledRule {
  rule: ValidationRule
  program?: Compiled
  problem?: string
  message?: Compiled
  messageProblem?: string
  usesOld: boolean
  fieldPath?: string
}

interface Node {
  schema: Schema
  root: boolean
  rules: CompiledRule[]
  /** The schema has no CEL type, so its rules cannot run. */
  untyped: boolean
  items?: Node
  properties: Map<string, Node>
  values?: Node
  allOf: Node[]
}

export function compileRule(rule: ValidationRule, schema: Schema, type: Type): CompiledRule {
  const oldSelf = rule.optionalOldSelf ? optionalOf(type) : type
  const variables = { self: type, oldSelf }
  const result: CompiledRule = { rule, usesOld: false }
  if (rule.rule.trim() === '') return result
  try {
    const resultProblem = () => 'cel expression must evaluate to a bool'
    result.program = compileCel(rule.rule, { variables, resultTypes: [boolType], resultProblem })
    result.usesOld = result.program.uses('oldSelf')
  } catch (error) {
    result.problem = problemText(error, 'compilation failed: ')
    return result
  }
  if (rule.messageExpression) {
    try {
      const resultProblem = () => 'messageExpression must evaluate to a string'
      result.message = compileCel(rule.messageExpression, { variables, resultTypes: [stringType], resultProblem })
    } catch (error) {
      result.messageProblem = problemText(error, 'messageExpression compilation failed: ')
    }
  }
  if (rule.fieldPath) result.fieldPath = normalizeFieldPath(rule.fieldPath, schema)
  return result
}

function problemText(error: unknown, prefix: string): string {
  if (error instanceof CelCompileError) return prefix + error.message
  if (error instanceof CelResultError) return error.message
  throw error
}

/** @param schema of a resource, whose kind and metadata rules may name even if it does not */
export function compileRules(schema: Schema): Rules {
  const root = hasRules(schema) ? buildNode(schema, schema, true, schemaType(schema, true)) : undefined
  return {
    empty: root === undefined,
    validate(object, old, { budget = runtimeBudget, path = '' } = {}) {
      const run = new Run(budget)
      if (root) run.node(root, path, object, old, { current: old === undefined ? undefined : [object, old] })
      return { errors: run.errors, warnings: run.warnings, budget: run.budget }
    },
  }
}

/** @param rules where the rules stand: the schema itself or one of its allOf */
function buildNode(rules: Schema, schema: Schema, root: boolean, type: Type | undefined): Node | undefined {
  if (!hasRules(rules)) return undefined
  const node: Node = {
    schema,
    root,
    rules: type ? (rules.rules ?? []).map((rule) => compileRule(rule, schema, type)) : [],
    untyped: !type && (rules.rules?.length ?? 0) > 0,
    properties: new Map(),
    allOf: [],
  }
  for (const [name, property] of Object.entries(rules.properties ?? {})) {
    const own = schema.properties?.[name]
    if (!own) continue
    const escaped = escapeName(name)
    const field = escaped === undefined ? schemaType(own, own.embedded) : type?.field?.(escaped)
    const child = field && buildNode(property, own, own.embedded ?? false, field)
    if (child) node.properties.set(name, child)
  }
  const element = type?.params.at(-1)
  if (rules.items && schema.items)
    node.items = buildNode(rules.items, schema.items, schema.items.embedded ?? false, element)
  if (rules.additionalProperties && schema.additionalProperties) {
    const own = schema.additionalProperties
    node.values = buildNode(rules.additionalProperties, own, own.embedded ?? false, element)
  }
  for (const part of rules.allOf ?? []) {
    const child = buildNode(part, schema, root, type)
    if (child) node.allOf.push(child)
  }
  return node
}

/** What stood at this place before an update, and at the nearest place around it that can be compared. */
interface Before {
  current?: [unknown, unknown]
  around?: [unknown, unknown]
}

type Json = Record<string, unknown>
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)

class Run {
  readonly errors: FieldError[] = []
  readonly warnings: string[] = []
  budget: number

  constructor(budget: number) {
    this.budget = budget
  }

  node(node: Node, path: string, value: unknown, old: unknown, before: Before): void {
    if (value === undefined || value === null) return
    this.rules(node, path, value, old ?? undefined, before)
    if (this.budget < 0) return
    for (const part of node.allOf) {
      if (this.budget < 0) return
      this.node(part, path, value, old, { around: before.around })
    }
    if (Array.isArray(value)) this.items(node, path, value, old, before)
    else if (isObject(value)) this.fields(node, path, value, isObject(old) ? old : undefined, before)
  }

  private fields(node: Node, path: string, value: Json, old: Json | undefined, before: Before): void {
    for (const [name, item] of Object.entries(value)) {
      const child = node.properties.get(name) ?? node.values
      if (!child) continue
      const at = child === node.values ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`
      const { current, around } = before
      // apiVersion and kind of the root change with the version that is asked for.
      const hidden = !around && node.root && (name === 'apiVersion' || name === 'kind')
      const next = !current ? before : hidden ? {} : { current: pair(item, current[1], name), around: current }
      this.node(child, at, item, old?.[name], next)
      if (this.budget < 0) return
    }
  }

  private items(node: Node, path: string, value: unknown[], old: unknown, before: Before): void {
    if (!node.items) return
    const find = correlate(node.schema, Array.isArray(old) ? old : [])
    for (const [index, item] of value.entries()) {
      const { current } = before
      const same = find(item)
      const next: Before = !current
        ? before
        : { current: same === undefined ? undefined : [item, same], around: current }
      this.node(node.items, `${path}[${index}]`, item, same, next)
      if (this.budget < 0) return
    }
  }

  private invalid(path: string, schema: Schema, detail: string): void {
    this.errors.push({ type: 'FieldValueInvalid', field: path, value: schema.type ?? '', detail })
  }

  private rules(node: Node, path: string, value: unknown, old: unknown, before: Before): void {
    const { schema } = node
    if (node.untyped) {
      this.invalid(
        path,
        schema,
        'rule compiler initialization error: failed to convert to declType for CEL validation rules',
      )
    }
    if (node.rules.length > 0 && this.budget <= 0) {
      this.exhausted(path, schema)
      return
    }
    const lookup = variables(node, value, old)
    for (const compiled of node.rules) {
      if (compiled.problem) this.invalid(path, schema, `rule compile error: ${compiled.problem}`)
      else if (compiled.program && !(compiled.usesOld && old === undefined && !compiled.rule.optionalOldSelf)) {
        this.rule(compiled, node, path, value, lookup(compiled.rule.optionalOldSelf ?? false), before)
      }
      if (this.budget < 0) return
    }
  }

  private exhausted(path: string, schema: Schema): void {
    this.invalid(
      path,
      schema,
      'validation failed due to running out of cost budget, no further validation rules will be run',
    )
    this.budget = -1
  }

  private rule(
    compiled: CompiledRule,
    node: Node,
    path: string,
    value: unknown,
    lookup: (name: string) => unknown,
    before: Before,
  ): void {
    const { rule } = compiled
    const outcome = compiled.program!.evaluate(lookup)
    if (outcome.cost > this.budget) {
      this.exhausted(path, node.schema)
      return
    }
    this.budget -= outcome.cost
    const text = (rule.message ? rule.message : rule.rule).trim()
    if (outcome.error) {
      const { message } = outcome.error
      if (outcome.error instanceof CelCostExceeded) {
        this.invalid(
          path,
          node.schema,
          `'${message}': no further validation rules will be run due to call cost exceeds limit for rule: ${text}`,
        )
        this.budget = -1
      } else if (message.startsWith('no such overload')) {
        this.invalid(
          path,
          node.schema,
          `'${message}': call arguments did not match a supported operator, function or macro signature for rule: ${text}`,
        )
      } else this.invalid(path, node.schema, `${message} evaluating rule: ${text}`)
      return
    }
    if (outcome.value === true) return
    const at =
      compiled.fieldPath === undefined ? path : path === '' ? compiled.fieldPath : `${path}.${compiled.fieldPath}`
    const detail = this.message(compiled, node, at, lookup)
    if (detail === undefined) return
    const error = failure(rule, at, node.schema, value, detail)
    if (!compiled.usesOld && unchanged(before)) this.warnings.push(`${error.field}: ${fieldErrorBody(error)}`)
    else this.errors.push(error)
  }

  /** undefined: evaluating it used up the budget, which is reported instead. */
  private message(
    compiled: CompiledRule,
    node: Node,
    path: string,
    lookup: (name: string) => unknown,
  ): string | undefined {
    const { rule, message } = compiled
    const standard = rule.message ? rule.message.trim() : `failed rule: ${rule.rule.trim()}`
    if (!message) return standard
    const outcome = message.evaluate(lookup)
    if (outcome.cost > this.budget || outcome.error instanceof CelCostExceeded) {
      const why =
        outcome.cost > this.budget
          ? 'messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run'
          : `no further validation rules will be run due to call cost exceeds limit for messageExpression: ${JSON.stringify(rule.messageExpression)}`
      this.invalid(path, node.schema, why)
      this.budget = -1
      return undefined
    }
    this.budget -= outcome.cost
    const text = typeof outcome.value === 'string' ? outcome.value.trim() : ''
    const usable = text !== '' && byteLength(text) <= 5 * 1024 && !text.includes('\n')
    return usable ? text : standard
  }
}

const pair = (item: unknown, old: unknown, name: string): [unknown, unknown] | undefined =>
  isObject(old) && old[name] !== undefined ? [item, old[name]] : undefined

function unchanged({ current, around }: Before): boolean {
  const pair = current ?? around
  return pair !== undefined && equalJson(pair[0], pair[1])
}

/** Items of a list have a former self only when keys identify them. */
function correlate(schema: Schema, old: unknown[]): (item: unknown) => unknown {
  if (schema.listType !== 'map' || old.length === 0) return () => undefined
  const keys = schema.listMapKeys ?? []
  const keyOf = (item: unknown): string =>
    JSON.stringify(
      keys.map((key) => (isObject(item) ? (item[key] ?? schema.items?.properties?.[key]?.default ?? null) : null)),
    )
  const known = new Map(old.map((item) => [keyOf(item), item]))
  return (item) => known.get(keyOf(item))
}

function variables(node: Node, value: unknown, old: unknown): (optional: boolean) => (name: string) => unknown {
  let self: unknown
  let oldSelf: unknown
  const oldValue = (): unknown => {
    if (oldSelf === undefined && old !== undefined) oldSelf = schemaValue(old, node.schema, node.root)
    return oldSelf
  }
  return (optional) => (name) => {
    if (name === 'self') {
      if (self === undefined) self = schemaValue(value, node.schema, node.root)
      return self
    }
    if (name !== 'oldSelf') return undefined
    if (!optional) return oldValue()
    return old === undefined ? Optional.none : Optional.of(oldValue())
  }
}

function failure(rule: ValidationRule, field: string, schema: Schema, value: unknown, detail: string): FieldError {
  const whole = schema.type === 'object' || schema.type === 'array'
  const shown = whole ? { hideValue: true } : { value }
  switch (rule.reason) {
    case 'FieldValueForbidden':
    case 'FieldValueRequired':
      return { type: rule.reason, field, detail }
    case 'FieldValueDuplicate':
      return { type: 'FieldValueDuplicate', field, ...shown, detail: '' }
    default:
      return { type: 'FieldValueInvalid', field, ...shown, detail }
  }
}
