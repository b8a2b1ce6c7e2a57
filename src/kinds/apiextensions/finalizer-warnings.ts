// Finalizers of custom resources that may meet others of the same name
// (apiextensions pkg/registry/customresource/validator.go, 1.36).

import type { ApiObject } from '../../api/meta.ts'
import { qualifiedNameProblems } from '../../api/names.ts'

const standard = ['orphan', 'foregroundDeletion', 'kubernetes']

export function finalizerWarnings(object: ApiObject, old?: ApiObject): string[] {
  const before = old?.metadata.finalizers ?? []
  const added = (object.metadata.finalizers ?? []).filter((name) => !before.includes(name))
  return added.sort().flatMap(warningsFor)
}

function warningsFor(name: string): string[] {
  const say = (text: string) => `metadata.finalizers: ${JSON.stringify(name)}: ${text}`
  const warnings = qualifiedNameProblems(name).map(say)
  if (name.includes('/') || standard.includes(name)) return warnings
  const how = name.includes('.')
    ? 'a domain-qualified finalizer name including a path (/)'
    : 'a domain-qualified finalizer name'
  return [...warnings, say(`prefer ${how} to avoid accidental conflicts with other finalizer writers`)]
}
