// The isolation labels of a namespace: refused when they mean nothing, and who asks for more is told of the Pods that are
// there already, as with Pod Security.

import { invalid } from '../../../api/errors.ts'
import type { StoredObject } from '../../../api/meta.ts'
import { equalJson } from '../../../api/walk/plain.ts'
import { isBelow, isLevel, type Level, labelPrefix, levelLabel } from '../../../kinds/isolation/levels.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { Lookup } from '../lookup.ts'
import { classesFor } from './class.ts'
import { labelErrors, strangeLabels } from './demands.ts'

export function checkNamespace({ object, old, name, subresource, warnings }: AdmissionRequest, lookup: Lookup): void {
  if (subresource !== '') return
  const { labels } = object!.metadata
  const errors = labelErrors(labels)
  // What stands there already keeps nobody from changing something else.
  if (errors.length > 0 && !equalJson(errors, labelErrors(old?.metadata.labels)))
    throw invalid('Namespace', name, errors)
  const known = new Set(strangeLabels(old?.metadata.labels))
  for (const key of strangeLabels(labels))
    if (!known.has(key))
      warnings.push(`metadata.labels[${key}] has no effect: ${labelPrefix} has enforce, warn, audit and default`)
  const preset = labels?.[`${labelPrefix}default`]
  if (
    isLevel(preset) &&
    preset !== old?.metadata.labels?.[`${labelPrefix}default`] &&
    !classesFor(preset, lookup).length
  )
    warnings.push(`no RuntimeClass gives isolation "${preset}": Pods that name none will be refused`)
  const enforce = labels?.[`${labelPrefix}enforce`]
  const before = old?.metadata.labels?.[`${labelPrefix}enforce`]
  if (!old || !isLevel(enforce) || (isLevel(before) && !isBelow(before, enforce))) return
  warnings.push(...tooWeak(name, enforce, lookup.list('', 'pods', name)))
}

/** The Pods that are there are not stopped. */
function tooWeak(namespace: string, enforce: Level, pods: readonly StoredObject[]): string[] {
  const found = new Map<Level, string[]>()
  for (const { metadata } of pods) {
    const level = metadata.labels?.[levelLabel]
    if (isLevel(level) && isBelow(level, enforce)) found.set(level, [...(found.get(level) ?? []), metadata.name])
  }
  if (found.size === 0) return []
  const texts = [...found].map(([level, names]) => {
    const others = names.length - 1
    const more = others === 0 ? '' : ` (and ${others} other ${others === 1 ? 'pod' : 'pods'})`
    return `${names.sort()[0]}${more}: ${level}`
  })
  return [`existing pods in namespace "${namespace}" violate the new isolation level "${enforce}"`, ...texts.sort()]
}
