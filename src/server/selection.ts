// Which objects a list or watch is about: the label and field selectors of its query.

import { parseFieldSelector } from '../api/field-selector.ts'
import type { ApiObject } from '../api/meta.ts'
import { parseLabelSelector } from '../api/selector.ts'
import type { Resource } from './registry.ts'

export interface Matcher {
  everything: boolean
  /** The one name that can match. */
  name: string | undefined
  matches(object: ApiObject): boolean
}

const all: Matcher = { everything: true, name: undefined, matches: () => true }

/** @throws ApiError BadRequest */
export function createMatcher(resource: Resource, query: URLSearchParams): Matcher {
  const labelText = query.get('labelSelector')
  const fieldText = query.get('fieldSelector')
  if (!labelText && !fieldText) return all
  const labels = parseLabelSelector(labelText ?? '')
  const fields = parseFieldSelector(fieldText ?? '', resource.kind.fields)
  return {
    everything: labels.everything && fields.everything,
    name: fields.exact('metadata.name'),
    matches: (object) => labels.matches(object.metadata.labels) && fields.matches(object),
  }
}
