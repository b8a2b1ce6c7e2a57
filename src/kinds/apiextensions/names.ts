// Which of the names that a definition asks for it gets: those that no other definition of its group has
// (apiextensions pkg/controller/status/naming_controller.go, 1.36). Pure.

import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import type { DefinitionCondition } from './conditions.ts'
import type { AcceptedNames } from './custom-kind.ts'

export interface NameDecision {
  accepted: AcceptedNames
  condition: DefinitionCondition
}

/** `others` are the definitions of the same group. */
export function decideNames(definition: ApiObject, others: readonly ApiObject[]): NameDecision {
  const resources = new Set<string>()
  const kinds = new Set<string>()
  for (const { status } of others) {
    const { plural, singular, shortNames = [], kind, listKind } = status?.acceptedNames ?? {}
    for (const name of [plural, singular, ...shortNames]) if (name) resources.add(name)
    for (const name of [kind, listKind]) if (name) kinds.add(name)
  }
  const asked = definition.spec.names as AcceptedNames
  const had = (definition.status?.acceptedNames ?? {}) as Partial<AcceptedNames>
  const accepted: Record<string, unknown> = { ...had }
  let refused: { reason: string; message: string } | undefined
  const taken = (name: string) => `${JSON.stringify(name)} is already in use`
  const single = (field: 'plural' | 'singular' | 'kind' | 'listKind', used: Set<string>, reason: string) => {
    if (asked[field] !== had[field] && used.has(asked[field])) refused = { reason, message: taken(asked[field]) }
    else accepted[field] = asked[field]
  }
  single('plural', resources, 'PluralConflict')
  single('singular', resources, 'SingularConflict')
  if (!equalJson(asked.shortNames ?? [], had.shortNames ?? [])) {
    const lost = (asked.shortNames ?? []).filter((name) => !had.shortNames?.includes(name) && resources.has(name))
    if (lost.length) {
      const text = lost.map(taken).join(', ')
      refused = { reason: 'ShortNamesConflict', message: lost.length > 1 ? `[${text}]` : text }
    } else accepted.shortNames = asked.shortNames
  }
  single('kind', kinds, 'KindConflict')
  single('listKind', kinds, 'ListKindConflict')
  accepted.categories = asked.categories
  for (const field of ['shortNames', 'categories']) if (accepted[field] === undefined) delete accepted[field]
  return {
    accepted: accepted as unknown as AcceptedNames,
    condition: refused
      ? { type: 'NamesAccepted', status: 'False', ...refused }
      : { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts', message: 'no conflicts found' },
  }
}
