// How the answers of webhooks become answers of the server (apiserver admission/plugin/webhook/errors and
// util/webhook/error.go, 1.36).

import { ApiError, type Status, type StatusReason } from '../../../api/errors.ts'

/** A refusal with the code and reason that the webhook chose, which need not be ones that Kubernetes knows. */
export class Denied extends ApiError {
  override readonly code: number
  readonly #status: Status

  constructor(webhook: string, result: Record<string, any> | undefined) {
    const denied = `admission webhook ${JSON.stringify(webhook)} denied the request`
    const why = result?.message || result?.reason
    const message = why ? `${denied}: ${why}` : `${denied} without explanation`
    super('BadRequest', message, result?.details)
    this.code = Number.isInteger(result?.code) && result!.code >= 400 && result!.code <= 599 ? result!.code : 400
    const { reason, details, metadata } = result ?? {}
    this.#status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: metadata ?? {},
      status: 'Failure',
      message,
      ...(reason && { reason: reason as StatusReason }),
      ...(details && { details }),
      code: this.code,
    }
  }

  override toStatus(): Status {
    return this.#status
  }
}

export const dryRunUnsupported = (webhook: string): ApiError =>
  new ApiError('BadRequest', `admission webhook ${JSON.stringify(webhook)} does not support dry run`)

/** The webhook could not be asked, or its answer not be understood. */
export const callingFailed = (webhook: string, error: unknown): ApiError => {
  const message = `failed calling webhook ${JSON.stringify(webhook)}: ${(error as Error).message}`
  return new ApiError('InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] })
}
