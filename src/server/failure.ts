// What went wrong as an answer: a Status, its headers, and for the unexpected a line in the log.

import { ApiError, isApiError } from '../api/errors.ts'
import type { ApiResponse } from '../api/exchange.ts'
import type { Logger } from '../base/log.ts'
import { StoreUnavailable } from '../store/store.ts'
import type { RequestInfo } from './request.ts'

export function failure(error: unknown, log: Logger, info: RequestInfo): ApiResponse {
  let told: ApiError
  if (isApiError(error)) told = error
  else if (error instanceof StoreUnavailable) told = new ApiError('ServiceUnavailable', error.message)
  else {
    // Unexpected: the log gets the stack, the client a text that tells nothing about the inside.
    log.error('request failed', { path: info.path, verb: info.verb, error, stack: (error as Error)?.stack })
    told = new ApiError(
      'InternalError',
      'Internal error occurred: the server met a condition that it did not expect; its log has the details',
      {
        causes: [{ message: 'unexpected error' }],
      },
    )
  }
  const headers: Record<string, string> = {}
  if (told.details?.retryAfterSeconds) headers['retry-after'] = String(told.details.retryAfterSeconds)
  if (told.code === 401) headers['www-authenticate'] = 'Bearer realm="tandem"'
  return { status: told.code, headers, object: told.toStatus() }
}
