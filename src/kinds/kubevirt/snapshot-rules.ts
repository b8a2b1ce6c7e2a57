// What of a machine may not be changed while it is saved or restored (KubeVirt 1.9, pkg/storage/admitters).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { invalidValue } from '../../api/walk/rules.ts'

const strategyOf = ({ spec }: ApiObject): unknown => spec?.runStrategy ?? (spec?.running ? 'Always' : 'Halted')

export function validateHeld(object: ApiObject, old?: ApiObject): FieldError[] {
  const { snapshotInProgress: snapshot, restoreInProgress: restore } = old?.status ?? {}
  if (!old || (!snapshot && !restore)) return []
  const errors: FieldError[] = []
  const hasOtherStrategy = strategyOf(object) !== strategyOf(old)
  const say = (text: string) => errors.push(invalidValue('spec', strategyOf(object), text))
  if (restore && hasOtherStrategy) say(`Cannot update VM runStrategy until restore "${restore}" completes`)
  if (!snapshot) return errors
  if (!equalJson(object.spec?.template?.spec?.volumes ?? [], old.spec?.template?.spec?.volumes ?? []))
    say(`Cannot update vm disks or volumes until snapshot "${snapshot}" completes`)
  else if (hasOtherStrategy) say(`Cannot update vm running state until snapshot "${snapshot}" completes`)
  return errors
}
