// Indexes of an Indexed Job: which are done, as the text that the status has ('0-2,5'), and which come next. Pure.

import type { StoredObject } from '../api/meta.ts'

export const indexAnnotation = 'batch.kubernetes.io/job-completion-index'

export const indexOf = (pod: StoredObject): number => {
  const text = pod.metadata.annotations?.[indexAnnotation]
  return text && /^\d+$/.test(text) ? Number(text) : -1
}

/** `limit`: indexes from there on are left out. */
export function parseIndexes(text: string | undefined, limit = Number.POSITIVE_INFINITY): Set<number> {
  const found = new Set<number>()
  for (const part of (text ?? '').split(',')) {
    const [first, last = first] = part.split('-')
    if (!first) continue
    for (let index = Number(first); index <= Number(last) && index < limit; index++) found.add(index)
  }
  return found
}

/** Three or more in a row are a range; two are written one by one, as upstream does. */
export function formatIndexes(indexes: Set<number>): string {
  const sorted = [...indexes].sort((a, b) => a - b)
  const parts: string[] = []
  for (let at = 0; at < sorted.length; ) {
    let end = at
    while (sorted[end + 1] === sorted[end]! + 1) end++
    if (end - at >= 2) parts.push(`${sorted[at]}-${sorted[end]}`)
    else for (let each = at; each <= end; each++) parts.push(String(sorted[each]))
    at = end + 1
  }
  return parts.join(',')
}

/** The lowest `count` indexes that are neither taken nor done. */
export function nextIndexes(completions: number, taken: Set<number>, count: number): number[] {
  const found: number[] = []
  for (let index = 0; index < completions && found.length < count; index++) if (!taken.has(index)) found.push(index)
  return found
}
