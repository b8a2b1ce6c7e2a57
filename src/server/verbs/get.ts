// get: one object.

import { notFound } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import { formOf } from '../accept.ts'
import type { Call } from '../call.ts'
import { objectAs } from '../forms.ts'
import type { Stored } from '../objects.ts'
import { revisionOf } from './list.ts'

export function get(call: Call): ApiResponse {
  revisionOf(call.request.query.get('resourceVersion'))
  return answer(call, 200, existing(call))
}

/** @throws ApiError NotFound */
export function existing(call: Call): Stored {
  const { resource, info, engine } = call
  const stored = engine.objects.get(resource, info.namespace, info.name)
  if (!stored) throw notFound(resource.plural, info.name, resource.group)
  return stored
}

/** An object in the form that the client asked for. */
export const answer = (call: Call, status: number, stored: Stored): ApiResponse => ({
  status,
  ...objectAs(formOf(call.request.headers.accept), call, stored),
})
