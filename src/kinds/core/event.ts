// Event: something that happened to an object, for people to read.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageText } from '../../api/table.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { validateEvent } from './event-rules.ts'

const firstSeen = (event: ApiObject): string | undefined => event.firstTimestamp ?? event.eventTime
const lastSeen = (event: ApiObject): string | undefined =>
  event.series?.lastObservedTime ?? event.lastTimestamp ?? firstSeen(event)

function target({ involvedObject = {} }: ApiObject): string {
  const kind = (involvedObject.kind ?? '').toLowerCase()
  return involvedObject.name ? `${kind}/${involvedObject.name}` : kind
}

function source({ source: from = {}, reportingComponent, reportingInstance }: ApiObject): string {
  return [from.component || reportingComponent, from.host || reportingInstance].filter(Boolean).join(', ')
}

const involved = (field: string) => (event: ApiObject) => event.involvedObject?.[field] ?? ''

export const event = defineKind({
  group: '',
  version: 'v1',
  kind: 'Event',
  plural: 'events',
  singular: 'event',
  shortNames: ['ev'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.Event'),
  types,
  columns: [
    text('Last Seen', (object, now) => ageText(lastSeen(object), now)),
    text('Type', (object) => object.type ?? ''),
    text('Reason', (object) => object.reason ?? ''),
    text('Object', target),
    text('Subobject', involved('fieldPath'), 1),
    text('Source', source, 1),
    text('Message', (object) => (object.message ?? '').trim()),
    text('First Seen', (object, now) => ageText(firstSeen(object), now), 1),
    text('Count', (object) => String(object.series?.count ?? (object.count || 1)), 1),
    text('Name', (object) => object.metadata.name ?? '', 1),
  ],
  validate: (object) => validateEvent(object, 'reportingComponent'),
  fields: {
    'involvedObject.kind': involved('kind'),
    'involvedObject.namespace': involved('namespace'),
    'involvedObject.name': involved('name'),
    'involvedObject.uid': involved('uid'),
    'involvedObject.apiVersion': involved('apiVersion'),
    'involvedObject.resourceVersion': involved('resourceVersion'),
    'involvedObject.fieldPath': involved('fieldPath'),
    reason: (object) => object.reason ?? '',
    reportingComponent: (object) => object.reportingComponent ?? '',
    source: (object) => object.source?.component || object.reportingComponent || '',
    type: (object) => object.type ?? '',
  },
  example: {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'web.1', namespace: 'default' },
    involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace: 'default', name: 'web' },
    reason: 'Started',
    message: 'Started container web',
    type: 'Normal',
    count: 1,
    source: { component: 'kubelet', host: 'machine' },
    firstTimestamp: '2026-01-01T00:00:00Z',
    lastTimestamp: '2026-01-01T00:00:00Z',
  },
})
