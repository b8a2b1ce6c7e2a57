// A change of an object that exists: read it, change it, write it over what was read. While nobody outside is asked, one
// change of an object runs at a time and never loses. When admission may ask a webhook, which may itself change the very
// object, nothing is held meanwhile: the store compares, and who comes second begins again.

import { type ApiError, isApiError } from '../api/errors.ts'
import type { Operation } from './admission/admission.ts'
import type { Call } from './call.ts'

/** How often a change that names no revision begins again. */
const attempts = 5

/** Somebody wrote between our read and our write; conflicts of ownership and preconditions are no races. */
export const isRace = (error: unknown): error is ApiError =>
  isApiError(error, 'Conflict') && error.message.includes('the object has been modified')

export interface Change<T> {
  call: Call
  operation: Operation
  key: string
  /** False when the client named the revision that it means: it is told of the race. */
  retries: boolean
  /** `again`: it may be called more than once, so what it was given must stay as it is. */
  action(again: boolean): Promise<T>
}

export async function readAndWrite<T>({ call, operation, key, retries, action }: Change<T>): Promise<T> {
  const { objects, admission } = call.engine
  const { resource, info } = call
  if (!admission.waits({ operation, resource, subresource: info.subresource }))
    return objects.exclusively(key, () => action(false))
  for (let attempt = 1; ; attempt++) {
    try {
      return await action(true)
    } catch (error) {
      if (!retries || attempt === attempts || !isRace(error)) throw error
    }
  }
}
