// Who manages which field: server-side apply, and the notes in metadata.managedFields that it needs.

import { ApiError } from '../api/errors.ts'
import type { ApiObject, StoredObject } from '../api/meta.ts'
import type { Call, WriteOptions } from './call.ts'
import type { Part } from './verbs/update.ts'

export interface Applied {
  object: ApiObject
}

export function appliedOver(
  _call: Call,
  _old: StoredObject,
  _applied: ApiObject,
  _options: WriteOptions & { force: boolean },
  _part: Part,
): Applied {
  throw new ApiError('UnsupportedMediaType', 'apply is coming')
}
export function appliedNew(_call: Call, object: ApiObject, _options: WriteOptions): Applied {
  return { object }
}
export function trackApply(_call: Call, _object: ApiObject, _applied: Applied): void {}
export function trackUpdate(
  _call: Call,
  _object: ApiObject,
  _old: StoredObject | undefined,
  _options: WriteOptions & { subresource?: string },
): void {}
