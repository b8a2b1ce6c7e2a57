// Objects that are sent to a subresource and never stored (Binding, Eviction, TokenRequest) pass admission like new ones.

import type { ApiObject } from '../api/meta.ts'
import { copyJson } from '../api/walk/plain.ts'
import type { SubresourceView } from './admission/admission.ts'
import type { Call } from './call.ts'
import { admissionRequest } from './persist.ts'

/** What was sent as admission leaves it; the object that was sent stays as it is. @throws ApiError */
export async function admitPart(
  call: Call,
  kind: SubresourceView['kind'],
  sent: ApiObject,
  dryRun: boolean,
): Promise<ApiObject> {
  const { admission } = call.engine
  const object = copyJson<ApiObject>(sent)
  object.metadata ??= {}
  const request = admissionRequest(call, 'CREATE', { dryRun }, object)
  request.name = call.info.name
  request.view = { kind, of: (shown) => shown, into: (_before, shown) => shown }
  request.reshape = (next) => next
  try {
    const admitted = admission.admit(request)
    if (admitted) await admitted
    const validated = admission.validate(request)
    if (validated) await validated
  } catch (error) {
    admission.failed(request)
    throw error
  }
  return object
}
