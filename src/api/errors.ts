// One error for the whole program: Kubernetes' Status. Decide on `reason` and `code`, never on the text.

export type StatusReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Expired'
  | 'Invalid'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'TooManyRequests'
  | 'InternalError'
  | 'ServiceUnavailable'
  | 'Timeout'
  | 'ServerTimeout'
  | 'InsufficientStorage'

export interface StatusCause {
  reason?: string
  message?: string
  field?: string
}

export interface StatusDetails {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: StatusCause[]
  retryAfterSeconds?: number
}

export interface Status {
  apiVersion: 'v1'
  kind: 'Status'
  metadata: Record<string, unknown>
  status: 'Success' | 'Failure'
  message?: string
  reason?: string
  details?: StatusDetails
  code: number
}

/** One problem of one field, in upstream's words (apimachinery validation/field). */
export interface FieldError {
  type:
    | 'FieldValueRequired'
    | 'FieldValueInvalid'
    | 'FieldValueNotSupported'
    | 'FieldValueDuplicate'
    | 'FieldValueForbidden'
    | 'FieldValueTooLong'
    | 'FieldValueTooMany'
    | 'FieldValueTypeInvalid'
    | 'FieldValueNotFound'
  /** "spec.containers[0].name" */
  field: string
  value?: unknown
  /** The value is a whole object or list: the message leaves it out. */
  hideValue?: boolean
  detail: string
}

const codes: Record<StatusReason, number> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
  ServerTimeout: 500,
  InsufficientStorage: 507,
}

/** A failure that a client may see, as Kubernetes says it. */
export class ApiError extends Error {
  readonly code: number
  readonly reason: StatusReason
  readonly details: StatusDetails | undefined

  constructor(reason: StatusReason, message: string, details?: StatusDetails, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ApiError'
    this.reason = reason
    this.code = codes[reason]
    this.details = details
  }

  toStatus(): Status {
    return {
      apiVersion: 'v1',
      kind: 'Status',
      metadata: {},
      status: 'Failure',
      message: this.message,
      reason: this.reason,
      ...(this.details && { details: this.details }),
      code: this.code,
    }
  }

  static fromStatus(status: Partial<Status>): ApiError {
    const reason = (status.reason || 'InternalError') as StatusReason
    return new ApiError(reason in codes ? reason : 'InternalError', status.message ?? 'unknown error', status.details)
  }
}

export const isApiError = (error: unknown, reason?: StatusReason): error is ApiError =>
  error instanceof ApiError && (reason === undefined || error.reason === reason)

/** 'pods "web" not found', as upstream words it; `resource` is plural, with ".group" where there is one. */
export const notFound = (resource: string, name: string, group = ''): ApiError =>
  new ApiError('NotFound', `${resource}${group && `.${group}`} "${name}" not found`, { name, group, kind: resource })

export const alreadyExists = (resource: string, name: string, group = ''): ApiError =>
  new ApiError('AlreadyExists', `${resource}${group && `.${group}`} "${name}" already exists`, {
    name,
    group,
    kind: resource,
  })

export const conflict = (resource: string, name: string, message: string, group = ''): ApiError =>
  new ApiError(
    'Conflict',
    `Operation cannot be fulfilled on ${resource}${group && `.${group}`} "${name}": ${message}`,
    { name, group, kind: resource },
  )

/** More than this helps nobody, and a body of a megabyte can have a hundred thousand: a rule may stop after it. */
export const maxFieldErrors = 1_000

/** The 422 that lists the field errors (apimachinery NewInvalid). `kind` is the Kind, not the resource. */
export function invalid(kind: string, name: string, errors: FieldError[], group = ''): ApiError {
  const told = errors.slice(0, maxFieldErrors)
  // The schema and the kind's own rules may find the same problem.
  const distinct = new Map(told.map((error) => [`${error.field}: ${fieldErrorBody(error)}`, error]))
  const causes = [...distinct.values()].map((error) => ({
    reason: error.type,
    message: fieldErrorBody(error),
    field: error.field,
  }))
  const texts = [...distinct.keys()]
  if (errors.length > told.length) texts.push('and more')
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`
  const subject = `${kind}${group && `.${group}`} "${name}" is invalid`
  return new ApiError('Invalid', list ? `${subject}: ${list}` : subject, { name, group, kind, causes })
}

const titles: Record<FieldError['type'], string> = {
  FieldValueRequired: 'Required value',
  FieldValueInvalid: 'Invalid value',
  FieldValueNotSupported: 'Unsupported value',
  FieldValueDuplicate: 'Duplicate value',
  FieldValueForbidden: 'Forbidden',
  FieldValueTooLong: 'Too long',
  FieldValueTooMany: 'Too many',
  FieldValueTypeInvalid: 'Invalid value',
  FieldValueNotFound: 'Not found',
}
const valueHidden = new Set<FieldError['type']>(['FieldValueRequired', 'FieldValueForbidden', 'FieldValueTooLong'])

/** 'Invalid value: "x": must be …' */
export function fieldErrorBody(error: FieldError): string {
  const title = titles[error.type]
  const shown =
    error.hideValue || valueHidden.has(error.type) ? title : `${title}: ${JSON.stringify(error.value ?? null)}`
  return error.detail ? `${shown}: ${error.detail}` : shown
}
