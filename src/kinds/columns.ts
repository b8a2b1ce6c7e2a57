// Pieces of `kubectl get` columns that many kinds share, worded as upstream prints them (pkg/printers, Kubernetes 1.36).

import type { Column } from '../api/kind.ts'
import type { ApiObject } from '../api/meta.ts'
import { type LabelSelector, selectorMatcher, selectorText } from '../api/selector.ts'

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

/** A spec's label selector as text; '' selects everything. */
export const specSelectorText = (selector: LabelSelector | undefined): string => selectorText(selectorMatcher(selector))

/** Containers, Images and Selector: the wide columns of everything that has a Pod template. */
export const templateColumns: Column[] = [
  text('Containers', (object) => containerList(object, 'name'), 1),
  text('Images', (object) => containerList(object, 'image'), 1),
  text('Selector', (object) => specSelectorText(object.spec?.selector) || none, 1),
]

const containerList = (object: ApiObject, field: 'name' | 'image'): string =>
  (object.spec?.template?.spec?.containers ?? []).map((container: Record<string, string>) => container[field]).join(',')

/** The first three, and how many more there are. */
export function joinFirst(list: string[]): string {
  const rest = list.length - 3
  return rest > 0 ? `${list.slice(0, 3).join(',')} + ${rest} more...` : list.join(',')
}
