// UploadTokenRequest: the token with which a claim may be uploaded into, for who may create such requests in its namespace.

import { invalid } from '../../api/errors.ts'
import type { ApiResponse } from '../../api/exchange.ts'
import { requiredValue } from '../../api/walk/rules.ts'
import { requirePlainForm } from '../accept.ts'
import type { UploadTokens } from '../auth/upload-tokens.ts'
import { readBody } from '../body.ts'
import { type Call, methodNotAllowed, writeOptions } from '../call.ts'
import { readObject } from '../conform.ts'

export const uploadTokenHandler =
  (tokens: UploadTokens) =>
  async (call: Call): Promise<ApiResponse> => {
    if (call.info.verb !== 'create' || call.info.name) throw methodNotAllowed()
    requirePlainForm(call.request.headers.accept)
    const options = writeOptions(call)
    const object = readObject(
      call,
      call.resource,
      readBody(call.request, options.fieldValidation !== 'Ignore'),
      options,
    )
    const claim = object.spec?.pvcName
    if (!claim)
      throw invalid('UploadTokenRequest', object.metadata.name ?? '', [requiredValue('spec.pvcName')], call.info.group)
    const { namespace } = call.info
    const token = options.dryRun ? '' : await tokens.issue({ namespace, claim })
    return { status: 201, object: { ...object, metadata: { ...object.metadata, namespace }, status: { token } } }
  }
