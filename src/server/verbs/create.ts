// create: POST to a collection.

import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, writeOptions } from '../call.ts'
import { readObject } from '../conform.ts'
import { createObject } from '../persist.ts'
import { answer } from './get.ts'

export async function create(call: Call): Promise<ApiResponse> {
  const options = writeOptions(call)
  const body = readBody(call.request, options.fieldValidation !== 'Ignore')
  const object = readObject(call, call.resource, body, options)
  settleNamespace(call, object)
  return answer(call, 201, await createObject(call, object, options))
}

/** The namespace of the URL holds; an object that names another one was sent to the wrong place. */
export function settleNamespace(call: Call, object: ApiObject): void {
  const { resource, info } = call
  const { metadata } = object
  if (!resource.namespaced) {
    if (metadata.namespace === '') delete metadata.namespace
    return
  }
  if (!info.namespace) throw badRequest('the server could not find the namespace of the request')
  if (metadata.namespace && metadata.namespace !== info.namespace)
    throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`)
  metadata.namespace = info.namespace
}
