// One call of the API: who asks for what of which resource, and what the verbs work with.

import { ApiError, invalid } from '../api/errors.ts'
import type { ApiRequest, UserInfo } from '../api/exchange.ts'
import type { Logger } from '../base/log.ts'
import type { Admission } from './admission/admission.ts'
import type { Objects } from './objects.ts'
import type { Registry, Resource } from './registry.ts'
import type { RequestInfo } from './request.ts'

/** What is the same for all calls. */
export interface Engine {
  objects: Objects
  registry: Registry
  admission: Admission
  now(): number
  log: Logger
}

export interface Call {
  engine: Engine
  request: ApiRequest
  info: RequestInfo
  resource: Resource
  user: UserInfo
  warnings: string[]
  /** Notes of admission for the audit log. */
  annotations?: Record<string, string>
}

export interface WriteOptions {
  dryRun: boolean
  fieldManager: string
  fieldValidation: 'Ignore' | 'Warn' | 'Strict'
}

const optionKinds: Record<string, string> = { POST: 'CreateOptions', PUT: 'UpdateOptions', PATCH: 'PatchOptions' }

/** `kubectl/v1.36.4 (linux/amd64)` → 'kubectl': the manager of a write that names none. */
const managerOf = (userAgent: string | undefined): string => (userAgent ?? '').split('/')[0]!.slice(0, 128) || 'unknown'

export function writeOptions(call: Pick<Call, 'request'>): WriteOptions {
  const { query, headers, method } = call.request
  const kind = optionKinds[method] ?? 'DeleteOptions'
  const dryRun = query.getAll('dryRun').filter((value) => value !== '')
  const wrong = dryRun.find((value) => value !== 'All')
  if (wrong !== undefined)
    throw invalid(
      kind,
      '',
      [{ type: 'FieldValueNotSupported', field: 'dryRun', value: [wrong], detail: 'supported values: "All"' }],
      'meta.k8s.io',
    )
  const validation = query.get('fieldValidation') || 'Warn'
  if (validation !== 'Ignore' && validation !== 'Warn' && validation !== 'Strict')
    throw invalid(
      kind,
      '',
      [
        {
          type: 'FieldValueNotSupported',
          field: 'fieldValidation',
          value: validation,
          detail: 'supported values: "Ignore", "Strict", "Warn"',
        },
      ],
      'meta.k8s.io',
    )
  const manager = query.get('fieldManager')
  if (manager && manager.length > 128)
    throw invalid(
      kind,
      '',
      [{ type: 'FieldValueTooLong', field: 'fieldManager', detail: 'may not be more than 128 bytes' }],
      'meta.k8s.io',
    )
  return {
    dryRun: dryRun.length > 0,
    fieldManager: manager || managerOf(headers['user-agent']),
    fieldValidation: validation,
  }
}

export const badRequest = (message: string): ApiError => new ApiError('BadRequest', message)

export const methodNotAllowed = (): ApiError =>
  new ApiError('MethodNotAllowed', 'the server does not allow this method on the requested resource')

/** For a path that leads nowhere. */
export const noSuchPath = (): ApiError =>
  new ApiError('NotFound', 'the server could not find the requested resource', {})
