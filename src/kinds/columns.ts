// Pieces of `kubectl get` columns that many kinds share, worded as upstream prints them (pkg/printers, Kubernetes 1.36).

import type { Column } from '../api/kind.ts'
import type { ApiObject } from '../api/meta.ts'
import { humanDuration } from '../api/time.ts'

export function since(time: string | null | undefined, now: number): string {
  return time ? humanDuration(now - Date.parse(time)) : '<unknown>'
}

export const age: Column = {
  name: 'Age',
  type: 'string',
  value: (object, now) => since(object.metadata.creationTimestamp, now),
}

export const createdAt: Column = {
  name: 'Created At',
  type: 'date',
  value: (object) => object.metadata.creationTimestamp ?? '<unknown>',
}

export const text = (name: string, value: (object: ApiObject, now: number) => string, priority = 0): Column => ({
  name,
  type: 'string',
  ...(priority && { priority }),
  value,
})

export const integer = (name: string, value: (object: ApiObject) => number): Column => ({
  name,
  type: 'integer',
  value,
})

export const none = '<none>'
export const unset = '<unset>'

/** {a: '1'} → 'a=1'. */
export function formatLabels(labels: Record<string, string> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`)
  return pairs.length ? pairs.sort().join(',') : none
}

interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: string; values?: string[] }[]
}

/** A label selector as text; '' selects everything. */
export function selectorText(selector: LabelSelector | undefined): string {
  const terms = Object.entries(selector?.matchLabels ?? {}).map(([key, value]) => ({ key, term: `${key}=${value}` }))
  for (const { key, operator, values = [] } of selector?.matchExpressions ?? []) {
    const list = [...values].sort().join(',')
    if (operator === 'In') terms.push({ key, term: `${key} in (${list})` })
    else if (operator === 'NotIn') terms.push({ key, term: `${key} notin (${list})` })
    else terms.push({ key, term: operator === 'Exists' ? key : `!${key}` })
  }
  return terms
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ term }) => term)
    .join(',')
}

/** Containers, Images and Selector: the wide columns of everything that has a Pod template. */
export const templateColumns: Column[] = [
  text('Containers', (object) => containerList(object, 'name'), 1),
  text('Images', (object) => containerList(object, 'image'), 1),
  text('Selector', (object) => selectorText(object.spec?.selector) || none, 1),
]

const containerList = (object: ApiObject, field: 'name' | 'image'): string =>
  (object.spec?.template?.spec?.containers ?? []).map((container: Record<string, string>) => container[field]).join(',')
