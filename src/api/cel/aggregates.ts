// Lists, maps and structs that an expression builds, with what each costs.

import type { Expr, ListExpr, MapExpr, StructExpr } from './ast.ts'
import type { Program } from './frame.ts'
import { asOptional, buildMap } from './lookup.ts'
import { ValueMap } from './values.ts'

type Plan = (expr: Expr) => Program

const listCost = 10
const mapCost = 30
const structCost = 40

export function listProgram(expr: ListExpr, plan: Plan): Program {
  const items = expr.items.map(plan)
  const { optional } = expr
  return (frame) => {
    const result: unknown[] = []
    items.forEach((item, i) => {
      const value = item(frame)
      if (!optional.has(i)) result.push(value)
      else if (asOptional(value).present) result.push(asOptional(value).value)
    })
    frame.charge(listCost)
    return result
  }
}

export function mapProgram(expr: MapExpr, plan: Plan): Program {
  const entries = expr.entries.map(({ key, value, optional }) => ({
    key: plan(key),
    value: plan(value),
    optional,
  }))
  return (frame) => {
    const built: [unknown, unknown][] = []
    for (const { key, value, optional } of entries) {
      const name = key(frame)
      const found = value(frame)
      if (!optional) built.push([name, found])
      else if (asOptional(found).present) built.push([name, asOptional(found).value])
    }
    frame.charge(mapCost)
    return buildMap(built)
  }
}

export function structProgram(expr: StructExpr, plan: Plan): Program {
  const fields = expr.fields.map((field) => ({ ...field, program: plan(field.value) }))
  const { name } = expr
  return (frame) => {
    const built: [unknown, unknown][] = []
    for (const field of fields) {
      const value = field.program(frame)
      if (!field.optional) built.push([field.name, value])
      else if (asOptional(value).present) built.push([field.name, asOptional(value).value])
    }
    frame.charge(structCost)
    const result = new ValueMap(built)
    result.typeName = name
    return result
  }
}
