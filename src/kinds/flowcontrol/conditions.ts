// The conditions of flow schemas and priority levels: each type once.

import type { FieldError } from '../../api/errors.ts'
import { duplicateValue, requiredValue } from '../../api/walk/rules.ts'

export function validateConditionTypes(status: any): FieldError[] {
  const conditions: { type?: string }[] = Array.isArray(status?.conditions) ? status.conditions : []
  return conditions.flatMap(({ type }, index) => {
    const path = `status.conditions[${index}].type`
    if (!type) return [requiredValue(path)]
    const isRepeated = conditions.findIndex((one) => one.type === type) < index
    return isRepeated ? [duplicateValue(path, type)] : []
  })
}
