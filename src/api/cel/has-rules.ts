// Whether there is any rule in a schema. Of its own, so that asking loads no CEL.

import type { Schema } from '../schema.ts'

export function hasRules(schema: Schema): boolean {
  if ((schema.rules?.length ?? 0) > 0) return true
  const inner = [
    schema.items,
    schema.additionalProperties,
    ...Object.values(schema.properties ?? {}),
    ...(schema.allOf ?? []),
  ]
  return inner.some((one) => one && hasRules(one))
}
