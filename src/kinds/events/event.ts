// Event of events.k8s.io: the same objects as the core group's Events, with newer names of fields.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { event as coreEvent } from '../core/event.ts'
import { validateEvent, validateEventUpdate, validateNewEvent } from '../core/event-rules.ts'
import { schemaOf, types } from '../types.ts'

/** Field here → field of the core group. */
const renamed: Record<string, string> = {
  reportingController: 'reportingComponent',
  regarding: 'involvedObject',
  note: 'message',
  deprecatedSource: 'source',
  deprecatedFirstTimestamp: 'firstTimestamp',
  deprecatedLastTimestamp: 'lastTimestamp',
  deprecatedCount: 'count',
}
const back = Object.fromEntries(Object.entries(renamed).map(([here, there]) => [there, here]))

function rename(object: ApiObject, names: Record<string, string>, apiVersion: string): ApiObject {
  const result: ApiObject = { ...object, apiVersion }
  for (const [from, to] of Object.entries(names)) {
    if (!(from in object)) continue
    delete result[from]
    result[to] = object[from]
  }
  return result
}

const toCore = (object: ApiObject): ApiObject => {
  const core = rename(object, renamed, 'v1')
  core.involvedObject ??= {}
  return core
}
const fromCore = (object: ApiObject): ApiObject => rename(object, back, 'events.k8s.io/v1')

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const core = toCore(object)
  const errors = validateEvent(core, 'reportingController')
  return [...errors, ...(old ? validateEventUpdate(core, toCore(old)) : validateNewEvent(core))]
}

const regarding = (field: string) => (object: ApiObject) => object.regarding?.[field] ?? ''

export const newEvent = defineKind({
  group: 'events.k8s.io',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  singular: 'event',
  shortNames: ['ev'],
  scope: 'Namespaced',
  schema: schemaOf('events.v1.Event'),
  types,
  storedAs: { group: '', version: 'v1', toStored: toCore, fromStored: fromCore },
  columns: coreEvent.columns.map((column) => {
    const { value } = column
    return typeof value === 'string' ? column : { ...column, value: (object, now) => value(toCore(object), now) }
  }),
  validate,
  fields: {
    ...Object.fromEntries(
      ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((field) => [
        `regarding.${field}`,
        regarding(field),
      ]),
    ),
    reason: (object) => object.reason ?? '',
    reportingController: (object) => object.reportingController ?? '',
    type: (object) => object.type ?? '',
  },
  example: {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: 'web.1', namespace: 'default' },
    eventTime: '2026-01-01T00:00:00.000000Z',
    reportingController: 'example.com/controller',
    reportingInstance: 'controller-1',
    action: 'Starting',
    reason: 'Started',
    regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'web' },
    note: 'Started container web',
    type: 'Normal',
  },
})
