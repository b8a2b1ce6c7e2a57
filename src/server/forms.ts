// Answers in the form that the client asked for: objects, Tables, or only metadata; single, as lists, and as the events
// of a watch. Plain objects go out with the JSON text that the store already has.

import type { ApiResponse, WatchEvent } from '../api/exchange.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import { type IncludeObject, type TableOptions, toTable } from '../api/table.ts'
import type { Form } from './accept.ts'
import { badRequest, type Call } from './call.ts'
import type { Change, Stored } from './objects.ts'
import type { Resource } from './registry.ts'
import type { Page } from './verbs/list.ts'

type Answer = Pick<ApiResponse, 'object' | 'json' | 'headers'>

export function objectAs(form: Form, call: Call, stored: Stored): Answer {
  if (form.as === 'object') return { object: stored.object, json: stored.json }
  if (form.as === 'PartialObjectMetadata') return { object: partial(stored.object, form.version) }
  const metadata = { resourceVersion: stored.object.metadata.resourceVersion }
  return { object: toTable([stored.object], call.resource.kind.columns, tableOptions(call, form.version, metadata)) }
}

export function listAs(form: Form, call: Call, page: Page): Answer {
  const metadata = {
    resourceVersion: String(page.revision),
    ...(page.continue && { continue: page.continue }),
    ...(page.remaining !== undefined && { remainingItemCount: page.remaining }),
  }
  const objects = page.items.map((stored) => stored.object)
  if (form.as === 'Table')
    return { object: toTable(objects, call.resource.kind.columns, tableOptions(call, form.version, metadata)) }
  if (form.as === 'PartialObjectMetadata') {
    const items = objects.map((object) => partial(object, form.version))
    return { object: { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${form.version}`, metadata, items } }
  }
  const head = { kind: call.resource.listKind, apiVersion: call.resource.apiVersion, metadata }
  return {
    object: { ...head, items: objects },
    // Only the network needs the text: it is put together when somebody asks.
    get json() {
      const textOf = call.resource.custom ? (json: string) => json : withoutType(call.resource)
      const items = page.items.map((stored) => textOf(stored.json)).join(',')
      return `${JSON.stringify(head).slice(0, -1)},"items":[${items}]}`
    },
  }
}

/** Built-in objects have no kind of their own in a list: the list says it (typed lists of upstream, 1.36). */
function withoutType({ kind: { kind }, apiVersion }: Resource): (json: string) => string {
  const starts = [`{"apiVersion":"${apiVersion}","kind":"${kind}",`, `{"kind":"${kind}","apiVersion":"${apiVersion}",`]
  return (json) => {
    const start = starts.find((text) => json.startsWith(text))
    return start ? `{${json.slice(start.length)}` : json
  }
}

const partial = (object: ApiObject, version: string): ApiObject => ({
  kind: 'PartialObjectMetadata',
  apiVersion: `meta.k8s.io/${version}`,
  metadata: object.metadata,
})

function tableOptions(call: Call, version: string, metadata: TableOptions['metadata']): TableOptions {
  const include = call.request.query.get('includeObject') || 'Metadata'
  if (include !== 'None' && include !== 'Metadata' && include !== 'Object')
    throw badRequest(`unrecognized includeObject value: ${JSON.stringify(include)}`)
  return {
    now: call.engine.now(),
    includeObject: include as IncludeObject,
    apiVersion: `meta.k8s.io/${version}`,
    ...(metadata && { metadata }),
  }
}

/** An event with the text of its object, where there is one, and its bytes once somebody made them. */
export interface Frame extends WatchEvent {
  json?: string
  bytes?: Uint8Array
}

export interface EventForm {
  of(type: WatchEvent['type'], object: ApiObject, json?: string): WatchEvent
  /** The same, shared by all watches that see the change this way. */
  ofChange(type: WatchEvent['type'], change: Change): WatchEvent
}

export function eventForm(form: Form, call: Call): EventForm {
  if (form.as === 'object') return plainEvents
  if (form.as === 'PartialObjectMetadata') {
    const of = (type: WatchEvent['type'], object: ApiObject) => ({ type, object: partial(object, form.version) })
    return { of, ofChange: (type, change) => of(type, change.object) }
  }
  let first = true
  const of = (type: WatchEvent['type'], object: ApiObject): WatchEvent => {
    const metadata = { resourceVersion: (object as StoredObject).metadata.resourceVersion }
    const options = { ...tableOptions(call, form.version, metadata), noHeaders: !first }
    first = false
    // A bookmark has no row of its own to show, but clients read its revision from the row's object.
    return { type, object: toTable([object], call.resource.kind.columns, options) as unknown as ApiObject }
  }
  return { of, ofChange: (type, change) => of(type, change.object) }
}

const shared = new WeakMap<Change, Map<string, Frame>>()

const plainEvents: EventForm = {
  of: (type, object, json) => ({ type, object, ...(json !== undefined && { json }) }),
  ofChange(type, change) {
    const frames = shared.get(change) ?? new Map<string, Frame>()
    if (frames.size === 0) shared.set(change, frames)
    const frame = frames.get(type) ?? { type, object: change.object, json: change.json }
    frames.set(type, frame)
    return frame
  },
}

const encoder = new TextEncoder()

/** One line of a watch answer. */
export function frameBytes(event: Frame): Uint8Array {
  event.bytes ??= encoder.encode(`{"type":"${event.type}","object":${event.json ?? JSON.stringify(event.object)}}\n`)
  return event.bytes
}
