// Ownership after a create, an update, or a patch that is no apply: the manager owns what it changed, others lose it.

import type { ApiObject, ManagedFieldsEntry, ObjectMeta } from '../meta.ts'
import { formatTime } from '../time.ts'
import { equalJson } from '../walk/plain.ts'
import type { Shape } from '../walk/shape.ts'
import { FieldSet } from './field-set.ts'
import {
  capUpdaters,
  type Owner,
  type Owners,
  ownerId,
  readOwners,
  settleOwners,
  takeAway,
  unowned,
  writeOwners,
} from './managers.ts'
import { compareTyped } from './typed.ts'

export interface OwnershipContext {
  shape: Shape
  /** 'apps/v1' */
  apiVersion: string
  /** The fieldManager option, else the user agent up to its first slash; '' becomes "unknown". */
  manager: string
  /** '' for the main resource, 'status', 'scale' … */
  subresource?: string
  /** The server's clock in ms. */
  now: number
  /** Paths that this endpoint resets and so never owns: [['status']] for the main one, [['spec'], ['metadata']] for status. */
  ignore?: string[][]
}

/**
 * metadata.managedFields for the object that is about to be stored (undefined: none). `live` is what is stored now,
 * `next` what will be, as the client sent it after decoding, defaults and resets. Neither is changed.
 */
export function managedFieldsAfterUpdate(
  live: ApiObject | undefined,
  next: ApiObject,
  context: OwnershipContext,
): ManagedFieldsEntry[] | undefined {
  const owners = ownersToStartFrom(live, next, context.subresource ?? '')
  // Ownership that was reset stays off until the next apply; a new object is always tracked.
  if (!owners.size && live) return undefined
  trackUpdate(owners, live, next, context)
  return writeOwners(owners)
}

/** The request's managedFields when it sent valid ones, else the stored ones; an empty list resets. */
function ownersToStartFrom(live: ApiObject | undefined, next: ApiObject, subresource: string): Owners {
  if (subresource) return ownersOf(live)
  const sent = next.metadata.managedFields
  if (sent && (sent.length === 0 || (sent.length === 1 && equalJson(sent[0], {})))) return new Map()
  try {
    const owners = readOwners(sent)
    if (owners.size) return owners
  } catch {
    // Malformed ownership never fails a write: what is stored counts.
  }
  return ownersOf(live)
}

function ownersOf(object: ApiObject | undefined): Owners {
  try {
    return readOwners(object?.metadata.managedFields)
  } catch {
    return new Map()
  }
}

/** Changes `owners` by one update. */
export function trackUpdate(
  owners: Owners,
  live: ApiObject | undefined,
  next: ApiObject,
  context: OwnershipContext,
): void {
  const { shape, apiVersion, subresource = '', now } = context
  settleOwners(owners, shape)
  const self: Owner = {
    manager: context.manager || 'unknown',
    operation: 'Update',
    apiVersion,
    subresource,
    time: formatTime(now),
    set: new FieldSet(),
  }
  const change = compareTyped(
    { ...emptyLike(next, shape), ...(live && withoutManagedFields(live)) },
    withoutManagedFields(next),
    shape,
  )
  const ignored = ignoredSet(context)
  for (const part of ['added', 'modified', 'removed'] as const) change[part] = change[part].recursiveDifference(ignored)
  takeAway(owners, change, '')
  const owned = change.modified.union(change.added).difference(unowned)
  if (!owned.empty) {
    const id = ownerId(self)
    const before = owners.get(id)
    owners.set(id, { ...self, set: before ? owned.union(before.set) : owned })
  }
  capUpdaters(owners)
}

export const ignoredSet = (context: OwnershipContext): FieldSet =>
  FieldSet.of(...(context.ignore ?? []).map((path) => path.map((name) => `f:${name}`)))

export function withoutManagedFields(object: ApiObject): ApiObject {
  if (!object.metadata?.managedFields) return object
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

/** What a new object starts from: upstream's structs at the top level are there before anyone sets a field in them. */
function emptyLike(object: ApiObject, shape: Shape): ApiObject {
  const empty: Record<string, unknown> = {}
  for (const name of Object.keys(object)) if (shape.fields.get(name)?.kind === 'object') empty[name] = {}
  return { ...empty, apiVersion: object.apiVersion, kind: object.kind, metadata: {} }
}

/**
 * True when nothing but the timestamps of ownership (and the resourceVersion) differs: such a write is no write, and the
 * stored object stays as it is.
 */
export function sameExceptOwnershipTimes(live: ApiObject, next: ApiObject): boolean {
  return (
    equalJson(live.metadata.managedFields?.map(withoutTime), next.metadata.managedFields?.map(withoutTime)) &&
    equalJson({ ...live, metadata: comparable(live.metadata) }, { ...next, metadata: comparable(next.metadata) })
  )
}

const withoutTime = (entry: ManagedFieldsEntry): ManagedFieldsEntry => ({ ...entry, time: undefined })

const comparable = (metadata: ObjectMeta): ObjectMeta => ({
  ...metadata,
  managedFields: undefined,
  resourceVersion: undefined,
})
