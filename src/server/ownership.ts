// Who manages which field: the notes in metadata.managedFields, kept by every write and needed by server-side apply.

import type { ApiObject, StoredObject } from '../api/meta.ts'
import { type Applied, applyConfiguration } from '../api/patch/apply.ts'
import { managedFieldsAfterUpdate, type OwnershipContext } from '../api/patch/managed-fields.ts'
import type { Call, WriteOptions } from './call.ts'
import { shapeOf } from './conform.ts'

type Writing = Pick<WriteOptions, 'fieldManager'> & { subresource?: string }

/** Parts that an endpoint never changes are never owned through it (ResetFieldsStrategy). */
function ignored(call: Call, subresource: string): string[][] {
  if (subresource === '') return call.resource.hasStatus ? [['status']] : []
  if (subresource !== 'status') return [['status']]
  if (call.resource.custom) return [['spec'], ['metadata']]
  return [['spec'], ['metadata', 'deletionTimestamp'], ['metadata', 'ownerReferences']]
}

function context(call: Call, options: Writing): OwnershipContext {
  const subresource = options.subresource ?? ''
  return {
    shape: shapeOf(call.resource),
    apiVersion: call.resource.apiVersion,
    manager: options.fieldManager,
    subresource,
    now: call.engine.now(),
    ignore: ignored(call, subresource),
  }
}

/** Notes a create or update in `object`, in place. */
export function trackUpdate(call: Call, object: ApiObject, old: StoredObject | undefined, options: Writing): void {
  const managedFields = managedFieldsAfterUpdate(old, object, context(call, options))
  if (managedFields) object.metadata.managedFields = managedFields
  else delete object.metadata.managedFields
}

/** The object as it is after `config` was applied, with the notes; still to be decoded and validated. */
export function applyTo(
  call: Call,
  live: StoredObject | undefined,
  config: unknown,
  options: Writing & { force: boolean },
): Applied {
  const { group, version, kind } = call.resource.kind
  return applyConfiguration({ ...context(call, options), group, version, kind, live, config, force: options.force })
}
