// The status of a CustomResourceDefinition that follows from its spec and from the others of its group. Pure.

import { fieldErrorBody } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { approvalCondition } from './approval.ts'
import { conditionIs, type DefinitionCondition, findCondition, withCondition } from './conditions.ts'
import { decideNames } from './names.ts'
import { structuralProblems } from './structural.ts'

const established: DefinitionCondition = {
  type: 'Established',
  status: 'True',
  reason: 'InitialNamesAccepted',
  message: 'the initial names have been accepted',
}

const notAccepted: DefinitionCondition = {
  type: 'Established',
  status: 'False',
  reason: 'NotAccepted',
  message: 'not all names are accepted',
}

/** `now` in the form of a timestamp. */
export function definitionStatus(definition: ApiObject, others: readonly ApiObject[], now: string) {
  const { accepted, condition: names } = decideNames(definition, others)
  let conditions: DefinitionCondition[] = definition.status?.conditions ?? []
  const set = (condition: DefinitionCondition) => {
    const before = findCondition(definition, condition.type)
    const same =
      before && (['status', 'reason', 'message'] as const).every((field) => before[field] === condition[field])
    if (!same) conditions = withCondition(conditions, condition, now)
  }
  set(names)
  // What once was served stays served, whatever becomes of its names.
  if (!conditionIs(definition, 'Established', 'True')) set(names.status === 'True' ? established : notAccepted)
  const loose = looseness(definition)
  if (loose) set(loose)
  else conditions = conditions.filter((condition) => condition.type !== 'NonStructuralSchema')
  const approval = approvalCondition(definition)
  if (approval) set(approval)
  return { ...definition.status, acceptedNames: accepted, conditions }
}

/** Definitions from other times may have schemas that today's rules refuse. */
function looseness(definition: ApiObject): DefinitionCondition | undefined {
  const problems: string[] = []
  if (definition.spec.preserveUnknownFields)
    problems.push('spec.preserveUnknownFields: Invalid value: true: must be false')
  for (const [index, version] of definition.spec.versions.entries()) {
    const schema = version.schema?.openAPIV3Schema
    if (!schema) continue
    for (const error of structuralProblems(schema, `spec.versions[${index}].schema.openAPIV3Schema`))
      problems.push(`${error.field}: ${fieldErrorBody(error)}`)
  }
  if (problems.length === 0) return undefined
  const message = problems.length > 1 ? `[${problems.join(', ')}]` : problems[0]!
  return { type: 'NonStructuralSchema', status: 'True', reason: 'Violations', message }
}
