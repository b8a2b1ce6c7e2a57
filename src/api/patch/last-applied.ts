// The bridge from client-side to server-side apply: the annotation in which kubectl keeps what it applied
// (apimachinery util/managedfields lastapplied*.go, 1.32). Only the manager "kubectl" crosses it.

import type { ApiObject } from '../meta.ts'
import { isPlainObject } from '../walk/plain.ts'
import type { Shape } from '../walk/shape.ts'
import { FieldSet } from './field-set.ts'
import { compareTyped, fieldsOf } from './typed.ts'
import { typedProblems } from './typed-check.ts'

export const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'

/** Fields that the annotation claims and that still have the value it says. */
export function allowedByLastApplied(live: ApiObject, apiVersion: string, shape: Shape): FieldSet {
  const text = live.metadata.annotations?.[lastAppliedAnnotation]
  if (!text) return new FieldSet()
  let applied: unknown
  try {
    applied = JSON.parse(text)
  } catch {
    return new FieldSet()
  }
  if (!isPlainObject(applied) || applied.apiVersion !== apiVersion || typedProblems(applied, shape).length)
    return new FieldSet()
  const change = compareTyped(applied, live, shape)
  return fieldsOf(applied, shape).difference(change.modified).difference(change.added).difference(change.removed)
}

/** Keeps an annotation that is there in step with the new configuration; changes `object` in place. */
export function updateLastApplied(object: ApiObject, config: ApiObject): void {
  const annotations = object.metadata?.annotations
  if (!annotations?.[lastAppliedAnnotation]) return
  const { [lastAppliedAnnotation]: _, ...rest } = config.metadata.annotations ?? {}
  const metadata = { ...config.metadata, ...(config.metadata.annotations && { annotations: rest }) }
  annotations[lastAppliedAnnotation] = `${JSON.stringify({ ...config, metadata })}\n`
}
