// Which instance type and preference a VirtualMachine means: their captured revisions where it has some already, else
// the objects as they are now. Texts: KubeVirt 1.9 (pkg/instancetype/webhooks/vm).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import type { Types } from '../../kinds/instancetype/expand.ts'
import {
  instancetypeGroup,
  kindIndex,
  type MatcherField,
  matcherFields,
  matcherOf,
} from '../../kinds/instancetype/matcher.ts'

export type Get = (group: string, plural: string, namespace: string, name: string) => StoredObject | undefined

/** `pending`: one of them is still to be inferred from a volume. */
export function findTypes(
  get: Get,
  machine: ApiObject,
  namespace: string,
): { types: Types; errors: FieldError[]; pending: boolean } {
  const types: Types = {}
  const errors: FieldError[] = []
  let pending = false
  for (const field of matcherFields) {
    const matcher = matcherOf(machine, field)
    if (!matcher) continue
    if (!matcher.name) {
      pending = true
      continue
    }
    const { found, text } = findOne(get, machine, field, namespace)
    if (found) types[field.field] = found.data?.spec ?? found.spec
    else
      errors.push({
        type: 'FieldValueNotFound',
        field: `spec.${field.field}`,
        value: matcher.name,
        detail: `Failure to find ${field.field}: ${text}`,
      })
  }
  return { types, errors, pending }
}

function findOne(
  get: Get,
  machine: ApiObject,
  field: MatcherField,
  namespace: string,
): { found: StoredObject | undefined; text: string } {
  const { name = '', kind, revisionName } = matcherOf(machine, field)!
  const known = machine.status?.[field.statusField]
  const captured = known?.name === name && known.kind === kind ? known.controllerRevisionRef?.name : undefined
  const revision = revisionName ?? captured
  const kept = revision && get('apps', 'controllerrevisions', namespace, revision)
  if (kept || revisionName)
    return { found: kept || undefined, text: `controllerrevisions.apps "${revision}" not found` }
  const index = kindIndex(field, kind)
  if (index === undefined) return { found: undefined, text: `got unexpected kind in ${field.field}Matcher: ${kind}` }
  const resource = field.resources[index]
  const found = get(instancetypeGroup, resource, index === 0 ? '' : namespace, name)
  return { found, text: `${resource}.${instancetypeGroup} "${name}" not found` }
}
