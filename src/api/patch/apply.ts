// Server-side apply: merges a configuration into the stored object, removes what the manager applied before and left
// out now, records ownership, and refuses to take fields that others own unless forced.
// Rules and texts of apimachinery util/managedfields and structured-merge-diff v4 merge/update.go (1.32).

import { ApiError, type StatusCause } from '../errors.ts'
import { type ApiObject, groupVersion } from '../meta.ts'
import { formatTime } from '../time.ts'
import { copyJson, equalJson, guardJson, isPlainObject } from '../walk/plain.ts'
import type { Shape } from '../walk/shape.ts'
import { FieldSet, stepsText } from './field-set.ts'
import { allowedByLastApplied, updateLastApplied } from './last-applied.ts'
import {
  ignoredSet,
  type OwnershipContext,
  sameExceptOwnershipTimes,
  trackUpdate,
  withoutManagedFields,
} from './managed-fields.ts'
import {
  conflictsOf,
  type Owner,
  type Owners,
  ownerId,
  readOwners,
  replaceSet,
  settleOwners,
  takeAway,
  unowned,
  writeOwners,
} from './managers.ts'
import { compareTyped, fieldsOf, mergeTyped, removeFields, withNamedParents } from './typed.ts'
import { problemsText, typedProblems } from './typed-check.ts'

export interface ApplyRequest extends Omit<OwnershipContext, 'apiVersion'> {
  group: string
  version: string
  kind: string
  /** The stored object; undefined creates. */
  live: ApiObject | undefined
  /** The configuration as it was sent, not decoded. */
  config: unknown
  force: boolean
}

export interface Applied {
  /** The merged object with its new managedFields; still to be decoded, defaulted and validated by the caller. */
  object: ApiObject
  /**
   * False when it already equals the stored one but for timestamps. Defaults inside atomic lists may make more objects
   * equal, so whoever stores asks sameExceptOwnershipTimes once more at the end.
   */
  changed: boolean
}

/** @throws ApiError 400 for a configuration that does not fit, 409 with FieldManagerConflict causes */
export function applyConfiguration(request: ApplyRequest): Applied {
  const config = checkConfig(request)
  const live = request.live
  const owners = storedOwners(request)
  const start = live ? withoutManagedFields(live) : { apiVersion: config.apiVersion, kind: config.kind, metadata: {} }
  const context = { ...request, apiVersion: config.apiVersion }
  const merged = applyOver(start, config, owners, context)
  const object = copyJson(dropNulls(merged.object, request.shape)) as ApiObject
  if (request.manager === 'kubectl') updateLastApplied(object, config)
  const managedFields = writeOwners(merged.owners)
  object.metadata = { ...object.metadata, ...(managedFields && { managedFields }) }
  return { object, changed: !live || !sameExceptOwnershipTimes(live, object) }
}

function checkConfig(request: ApplyRequest): ApiObject {
  const { config, group, version, kind, shape } = request
  if (!isPlainObject(config))
    throw new ApiError('BadRequest', 'error decoding patch: the configuration is not an object')
  guardJson(config, 'error decoding patch')
  const object = config as ApiObject
  const apiVersion = groupVersion(group, version)
  if (object.apiVersion !== apiVersion || object.kind !== kind)
    throw new ApiError('BadRequest', `invalid object type: ${kindText(object.apiVersion, object.kind)}`)
  if (
    isPlainObject(object.metadata) &&
    object.metadata.managedFields !== undefined &&
    object.metadata.managedFields !== null
  )
    throw new ApiError('BadRequest', 'metadata.managedFields must be nil')
  const problems = typedProblems(object, shape)
  if (problems.length) {
    const name = isPlainObject(object.metadata)
      ? `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`
      : '/'
    throw new ApiError(
      'BadRequest',
      `failed to create typed patch object (${name}; ${kindText(apiVersion, kind)}): ${problemsText(problems)}`,
    )
  }
  return { ...object, metadata: object.metadata ?? {} }
}

/** 'apps/v1, Kind=Deployment'; the core group is empty: '/v1, Kind=Pod'. */
function kindText(apiVersion: unknown, kind: unknown): string {
  const text = typeof apiVersion === 'string' ? apiVersion : ''
  return `${text.includes('/') ? text : `/${text}`}, Kind=${typeof kind === 'string' ? kind : ''}`
}

/** Fields of an object that nobody owns yet belong to "before-first-apply". */
function storedOwners(request: ApplyRequest): Owners {
  const { live } = request
  if (!live) return new Map()
  let owners: Owners
  try {
    owners = readOwners(live.metadata.managedFields)
  } catch (error) {
    throw new ApiError('InternalError', `failed to decode managed fields: ${(error as Error).message}`)
  }
  if (!owners.size)
    trackUpdate(owners, undefined, live, { ...request, apiVersion: live.apiVersion, manager: 'before-first-apply' })
  return owners
}

interface Outcome {
  object: unknown
  owners: Owners
}

type Context = ApplyRequest & { apiVersion: string }

function applyOver(live: ApiObject, config: ApiObject, stored: Owners, context: Context): Outcome {
  const { shape, force } = context
  const self: Owner = {
    manager: context.manager,
    operation: 'Apply',
    apiVersion: context.apiVersion,
    subresource: context.subresource ?? '',
    time: undefined,
    set: fieldsOf(config, shape).recursiveDifference(ignoredSet(context)),
  }
  const id = ownerId(self)
  const owners: Owners = new Map(stored)
  settleOwners(owners, shape)
  const before = owners.get(id)
  owners.set(id, { ...self, time: before?.time })
  const object = prune(mergeTyped(live, config, shape), owners, before?.set, shape)
  const change = compareTyped(live, object, shape)
  for (const part of ['added', 'modified', 'removed'] as const)
    change[part] = change[part].recursiveDifference(ignoredSet(context))
  if (!force) refuseConflicts(conflictsOf(owners, change, id), owners, live, context)
  takeAway(owners, change, id)
  const owned = owners.get(id)
  if (owned) {
    // The time says when the manager last changed something.
    const time = equalJson(live, dropNulls(object, shape)) ? owned.time : formatTime(context.now)
    owners.set(id, { ...owned, time: time ?? formatTime(context.now) })
    replaceSet(owners, id, owners.get(id)!, owned.set.difference(unowned))
  }
  return { object, owners }
}

function refuseConflicts(conflicts: Map<string, FieldSet>, owners: Owners, live: ApiObject, context: Context): void {
  if (!conflicts.size) return
  // kubectl may take over what it applied itself on the client's side.
  const allowed =
    context.manager === 'kubectl' ? allowedByLastApplied(live, context.apiVersion, context.shape) : new FieldSet()
  const found: { owner: string; path: string }[] = []
  for (const [id, set] of conflicts)
    for (const path of set.paths())
      if (!allowed.hasPath(path)) found.push({ owner: ownerText(owners.get(id)!), path: stepsText(path) })
  if (!found.length) return
  const causes: StatusCause[] = found.map(({ owner, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${owner}`,
    field: path,
  }))
  throw new ApiError('Conflict', conflictText(found), { causes })
}

function conflictText(found: { owner: string; path: string }[]): string {
  if (found.length === 1) return `Apply failed with 1 conflict: conflict with ${found[0]!.owner}: ${found[0]!.path}`
  const byOwner = new Map<string, string[]>()
  for (const { owner, path } of found) byOwner.set(owner, [...(byOwner.get(owner) ?? []), `- ${path}`])
  const lines = [...byOwner]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([owner, paths]) => [`conflicts with ${owner}:`, ...paths])
  return `Apply failed with ${found.length} conflicts: ${lines.join('\n')}`
}

/** '"kubectl-client-side-apply" using apps/v1' */
function ownerText(owner: Owner): string {
  const name = JSON.stringify(owner.manager)
  const named = owner.subresource ? `${name} with subresource ${JSON.stringify(owner.subresource)}` : name
  return owner.operation === 'Update' ? `${named} using ${owner.apiVersion}` : named
}

/**
 * Removes what the manager applied last time and does not apply now, unless somebody else owns it, or something that
 * stays lies below it.
 */
function prune(merged: unknown, owners: Owners, last: FieldSet | undefined, shape: Shape): unknown {
  if (!last || last.empty) return merged
  const lastFields = withNamedParents(last, shape)
  const pruned = addBackOwned(merged, removeFields(merged, lastFields, shape), owners, shape)
  const staying = withNamedParents(fieldsOf(pruned, shape), shape)
  const present = withNamedParents(fieldsOf(merged, shape), shape)
  return removeFields(merged, present.difference(staying).intersection(lastFields), shape)
}

function addBackOwned(merged: unknown, pruned: unknown, owners: Owners, shape: Shape): unknown {
  let owned = new FieldSet()
  for (const owner of owners.values()) owned = owned.union(owner.set)
  const present = withNamedParents(fieldsOf(merged, shape), shape)
  const staying = withNamedParents(fieldsOf(pruned, shape), shape)
  return removeFields(merged, present.difference(staying.union(withNamedParents(owned, shape))), shape)
}

/** What became null by removal is gone; a null that was applied stays where the schema allows one. */
function dropNulls(value: unknown, shape: Shape | undefined): unknown {
  if (Array.isArray(value)) return value.map((item) => dropNulls(item, shape?.items))
  if (!isPlainObject(value)) return value
  const out: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(value)) {
    const field = shape?.fields.get(key) ?? shape?.values
    if (part === null && field && field.kind !== 'any' && !field.schema.nullable) continue
    out[key] = dropNulls(part, field)
  }
  return out
}
