// An object of a request in another version of its resource, for webhooks and policies that were registered for that one.

import { ApiError } from '../../../api/errors.ts'
import type { ApiObject } from '../../../api/meta.ts'
import { copyJson } from '../../../api/walk/plain.ts'
import type { Resource } from '../../registry.ts'

/** A promise when somebody outside converts. The object that was given stays as it is. @throws ApiError */
export function convertLater(object: ApiObject, from: Resource, to: Resource): ApiObject | Promise<ApiObject> {
  if (from === to) return object
  const copy = copyJson(object)
  if (to.form) return to.form.show(copy)
  const stored = from.kind.storedAs?.toStored(copy) ?? copy
  return to.kind.storedAs?.fromStored(stored) ?? { ...stored, apiVersion: to.apiVersion }
}

/** For those that cannot wait. */
export function convertNow(object: ApiObject, from: Resource, to: Resource): ApiObject {
  const converted = convertLater(object, from, to)
  if (!(converted instanceof Promise)) return converted
  converted.catch(() => {})
  throw new ApiError(
    'InternalError',
    `${from.groupResource} are converted by a webhook: policies see them only in the version of the request (${from.version}); match that version, too`,
  )
}
