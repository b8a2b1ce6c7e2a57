// What is wrong with the rules of a schema before it is used: expressions that do not compile, and those that could cost
// too much (texts and limits of k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation, 1.36).

import type { FieldError } from '../errors.ts'
import type { Schema } from '../schema.ts'
import { escapeName } from './escape.ts'
import { hasRules } from './has-rules.ts'
import { largest } from './range.ts'
import { type CompiledRule, compileRule } from './rules.ts'
import { schemaType } from './schema-type.ts'
import type { Type } from './types.ts'

const costLimit = 10_000_000
const totalLimit = 100_000_000
const maxRequest = 3 * 1024 * 1024

/** Where in the schema, and how often data of it can occur at most (undefined: nothing bounds it). */
interface Place {
  path: string
  root: boolean
  times: number | undefined
  /** The list or map around it whose items have no former self. */
  uncorrelatable?: string
}

/** @param path of the schema itself ("spec.versions[0].schema.openAPIV3Schema") */
export function ruleProblems(schema: Schema, path: string): FieldError[] {
  if (!hasRules(schema)) return []
  const review = new Review()
  review.node(schema, { path, root: true, times: 1 }, undefined)
  return [...review.errors, ...review.totals(path)]
}

class Review {
  readonly errors: FieldError[] = []
  private total = 0
  private expensive: { path: string; cost: number }[] = []

  node(schema: Schema, place: Place, typeAround: Type | undefined): void {
    if (!hasRules(schema)) return
    const type = typeAround ?? schemaType(schema, place.root || schema.embedded)
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const escaped = escapeName(name)
      const uncorrelatable = place.uncorrelatable
      const next: Place = { path: `${place.path}.properties[${name}]`, root: false, times: place.times, uncorrelatable }
      this.node(property, next, escaped === undefined ? undefined : type?.field?.(escaped))
    }
    const element = type?.params.at(-1)
    if (schema.additionalProperties) {
      const path = `${place.path}.additionalProperties`
      this.node(
        schema.additionalProperties,
        { ...place, path, root: false, times: multiply(place.times, schema.maxProperties) },
        element,
      )
    }
    if (schema.items) {
      const uncorrelatable = schema.listType === 'map' ? place.uncorrelatable : place.path
      const times = multiply(place.times, schema.maxItems)
      this.node(schema.items, { path: `${place.path}.items`, root: false, times, uncorrelatable }, element)
    }
    this.rules(schema, place, type)
  }

  private rules(schema: Schema, place: Place, type: Type | undefined): void {
    const rules = schema.rules ?? []
    const at = `${place.path}.x-kubernetes-validations`
    if (rules.length > 0 && !type) {
      const detail =
        'internal error: failed to construct type information for x-kubernetes-validations rules: unable to convert structural schema to CEL declarations'
      this.errors.push({ type: 'FieldValueInvalid', field: at, value: schema.type ?? '', detail })
      return
    }
    rules.forEach((rule, index) => {
      this.rule(compileRule(rule, schema, type!), `${at}[${index}]`, place, type!)
    })
  }

  private rule(compiled: CompiledRule, at: string, place: Place, type: Type): void {
    const { rule, program, message } = compiled
    if (program) {
      const times = place.times ?? Math.floor(maxRequest / ((type.minSize ?? 0) + 1))
      this.cost(`${at}.rule`, 'estimated rule cost', Math.min(largest, program.cost.max * times))
    }
    if (compiled.problem) this.invalid(`${at}.rule`, rule, compiled.problem)
    if (compiled.messageProblem) this.invalid(`${at}.messageExpression`, rule, compiled.messageProblem)
    else if (message) this.cost(`${at}.messageExpression`, 'estimated messageExpression cost', message.cost.max)
    if (compiled.usesOld) {
      if (place.uncorrelatable) {
        const where = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${place.uncorrelatable}`
        this.invalid(`${at}.rule`, rule.rule, where)
      }
    } else if (rule.optionalOldSelf !== undefined && !compiled.problem) {
      this.invalid(`${at}.optionalOldSelf`, rule.optionalOldSelf, 'may not be set if oldSelf is not used in rule')
    }
  }

  private invalid(field: string, value: unknown, detail: string): void {
    this.errors.push({ type: 'FieldValueInvalid', field, value, detail })
  }

  private cost(path: string, name: string, cost: number): void {
    if (cost > costLimit) {
      this.errors.push({ type: 'FieldValueForbidden', field: path, detail: exceeds(name, cost, costLimit) })
    }
    this.total = Math.min(largest, this.total + cost)
    if (cost >= totalLimit / 100) this.expensive.push({ path, cost })
  }

  /** All rules together. */
  totals(path: string): FieldError[] {
    if (this.total <= totalLimit) return []
    const most = this.expensive.sort((a, b) => b.cost - a.cost).slice(0, 4)
    const detail = 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema'
    const name = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema'
    return [
      ...most.map((one): FieldError => ({ type: 'FieldValueForbidden', field: one.path, detail })),
      { type: 'FieldValueForbidden', field: path, detail: exceeds(name, this.total, totalLimit) },
    ]
  }
}

const multiply = (times: number | undefined, max: number | undefined): number | undefined =>
  times === undefined || max === undefined ? undefined : Math.min(largest, times * Math.max(0, max))

function exceeds(name: string, cost: number, limit: number): string {
  const factor = cost / limit
  const shown = factor > 100 ? 'more than 100x' : factor < 1.5 ? `${factor.toFixed(6)}x` : `${factor.toFixed(1)}x`
  return `${name} exceeds budget by factor of ${shown} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`
}
