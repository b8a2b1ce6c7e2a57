// Who owns which fields: metadata.managedFields read, written, and updated by the rules that apply and update share.
// Rules of apimachinery util/managedfields and structured-merge-diff v4 merge (1.32).

import type { ManagedFieldsEntry } from '../meta.ts'
import { parseTime } from '../time.ts'
import type { Shape } from '../walk/shape.ts'
import { FieldSet } from './field-set.ts'
import { type Comparison, settleAtomics } from './typed.ts'

export interface Owner {
  readonly manager: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource: string
  readonly time: string | undefined
  readonly set: FieldSet
}

/** By identity. */
export type Owners = Map<string, Owner>

/** An applier is the same whatever version it applies with. */
export const ownerId = (owner: Omit<Owner, 'set' | 'time'>): string =>
  JSON.stringify([
    owner.manager,
    owner.operation,
    owner.operation === 'Apply' ? '' : owner.apiVersion,
    owner.subresource,
  ])

/** Sets already read: stored objects are shared and never change, so each is parsed once. */
const readSets = new WeakMap<object, FieldSet>()

function setOf(fields: Record<string, unknown> | undefined): FieldSet {
  if (!fields) return new FieldSet()
  let set = readSets.get(fields)
  if (!set) {
    set = FieldSet.fromFieldsV1(fields)
    readSets.set(fields, set)
    set.written = fields
  }
  return set
}

const fieldsOfSet = (set: FieldSet): Record<string, unknown> => (set.written ??= set.toFieldsV1())

/** @throws Error when an entry is malformed */
export function readOwners(entries: readonly ManagedFieldsEntry[] | undefined): Owners {
  const owners: Owners = new Map()
  for (const [index, entry] of (entries ?? []).entries()) {
    if (entry.operation !== 'Apply' && entry.operation !== 'Update')
      throw new Error('operation must be `Apply` or `Update`')
    if (!entry.apiVersion) throw new Error('apiVersion must not be empty')
    if (!entry.fieldsType) throw new Error(`missing fieldsType in managed fields entry ${index}`)
    if (entry.fieldsType !== 'FieldsV1')
      throw new Error(`invalid fieldsType ${JSON.stringify(entry.fieldsType)} in managed fields entry ${index}`)
    const owner: Owner = {
      manager: entry.manager ?? '',
      operation: entry.operation,
      apiVersion: entry.apiVersion,
      subresource: entry.subresource ?? '',
      time: entry.time,
      set: setOf(entry.fieldsV1),
    }
    owners.set(ownerId(owner), owner)
  }
  return owners
}

const seconds = (owner: Owner): number => Math.floor((parseTime(owner.time ?? '') ?? 0) / 1000)
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Appliers first, then by age and name. */
export function writeOwners(owners: Owners): ManagedFieldsEntry[] | undefined {
  if (!owners.size) return undefined
  return [...owners.values()]
    .sort(
      (a, b) =>
        byText(a.operation, b.operation) ||
        seconds(a) - seconds(b) ||
        byText(a.manager, b.manager) ||
        byText(a.apiVersion, b.apiVersion) ||
        byText(a.subresource, b.subresource),
    )
    .map((owner) => ({
      manager: owner.manager,
      operation: owner.operation,
      apiVersion: owner.apiVersion,
      ...(owner.time && { time: owner.time }),
      fieldsType: 'FieldsV1',
      fieldsV1: fieldsOfSet(owner.set),
      ...(owner.subresource && { subresource: owner.subresource }),
    }))
}

/** Sets as they are under today's schema. */
export function settleOwners(owners: Owners, shape: Shape): void {
  for (const [id, owner] of owners) {
    const set = settleAtomics(owner.set, shape)
    if (set !== owner.set) owners.set(id, { ...owner, set })
  }
}

/** Which fields of other owners a change touches. */
export function conflictsOf(owners: Owners, change: Comparison, self: string): Map<string, FieldSet> {
  const touched = change.modified.union(change.added)
  const found = new Map<string, FieldSet>()
  for (const [id, owner] of owners) {
    if (id === self) continue
    const set = owner.set.intersection(touched)
    if (!set.empty) found.set(id, set)
  }
  return found
}

/** Takes changed and removed fields away from everybody but `self`; who owns nothing any more is forgotten. */
export function takeAway(owners: Owners, change: Comparison, self: string): void {
  const touched = change.modified.union(change.added)
  for (const [id, owner] of owners) {
    if (id === self) continue
    const set = owner.set.difference(owner.set.intersection(touched)).difference(change.removed)
    replaceSet(owners, id, owner, set)
  }
}

export function replaceSet(owners: Owners, id: string, owner: Owner, set: FieldSet): void {
  if (set.empty) owners.delete(id)
  else if (set !== owner.set && !set.equals(owner.set)) owners.set(id, { ...owner, set })
}

const meta = (name: string) => ['f:metadata', `f:${name}`]

/** Fields that nobody owns: the server's own, and what identifies the object. */
export const unowned = FieldSet.of(
  ['f:apiVersion'],
  ['f:kind'],
  ['f:metadata'],
  meta('name'),
  meta('namespace'),
  meta('creationTimestamp'),
  meta('selfLink'),
  meta('uid'),
  meta('clusterName'),
  meta('generation'),
  meta('managedFields'),
  meta('resourceVersion'),
)

/** Updaters beyond ten are merged into one per version, the oldest first. */
const maxUpdaters = 10

export function capUpdaters(owners: Owners): void {
  const updaters = [...owners].filter(([, owner]) => owner.operation === 'Update')
  let excess = updaters.length - maxUpdaters
  if (excess <= 0) return
  updaters.sort(([idA, a], [idB, b]) => seconds(a) - seconds(b) || byText(idA, idB))
  const first = new Map<string, string>()
  for (const [id, owner] of updaters) {
    if (excess <= 0) return
    const bucket: Owner = { ...owner, manager: 'ancient-changes', operation: 'Update', subresource: '' }
    const bucketId = ownerId(bucket)
    const firstId = first.get(owner.apiVersion)
    if (firstId === undefined) {
      first.set(owner.apiVersion, id)
      continue
    }
    const before = owners.get(bucketId) ?? owners.get(firstId)
    if (!owners.has(bucketId)) owners.delete(firstId)
    owners.delete(id)
    owners.set(bucketId, { ...bucket, set: owner.set.union(before?.set ?? new FieldSet()) })
    excess--
  }
}
