// update: PUT of an object or of a subresource that is a part of it.

import type { ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { copyJson } from '../../api/walk/plain.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, writeOptions } from '../call.ts'
import { readObject } from '../conform.ts'
import { type UpdateOptions, updateObject } from '../persist.ts'
import { readAndWrite } from '../read-and-write.ts'
import { settleNamespace } from './create.ts'
import { answer, existing } from './get.ts'

/** What a subresource changes beside the rules of every update. */
export type Part = Pick<UpdateOptions, 'subresource' | 'owns'>

export const whole: Part = { subresource: '' }
export const statusPart: Part = { subresource: 'status' }

/** What a PUT brings, of the call's kind. */
export function updatedObject(call: Call): ApiObject {
  const options = writeOptions(call)
  const body = readBody(call.request, options.fieldValidation !== 'Ignore')
  const object = readObject(call, call.resource, body, options)
  checkName(call, object)
  settleNamespace(call, object)
  return object
}

export async function update(call: Call, part: Part = whole): Promise<ApiResponse> {
  const { objects } = call.engine
  const { resource, info } = call
  const options = writeOptions(call)
  const object = updatedObject(call)
  const key = objects.key(resource, info.namespace, info.name)
  const stored = await readAndWrite({
    call,
    operation: 'UPDATE',
    key,
    retries: !object.metadata.resourceVersion,
    action: (again) =>
      updateObject(call, existing(call), again ? copyJson<ApiObject>(object) : object, { ...options, ...part }),
  })
  return answer(call, 200, stored)
}

export function checkName(call: Call, object: ApiObject): void {
  const { name } = object.metadata
  if (!name) object.metadata.name = call.info.name
  else if (name !== call.info.name)
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${call.info.name})`)
}
