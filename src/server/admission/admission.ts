// Admission: the rules of the platform between a request and the store. A plugin may complete the object (admit), refuse
// it (validate) and hold something for it (an address) that it gives back when the write does not come to be.

import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import type { Resource } from '../registry.ts'

export interface AdmissionRequest {
  operation: 'CREATE' | 'UPDATE' | 'DELETE'
  resource: Resource
  subresource: string
  namespace: string
  name: string
  user: UserInfo
  dryRun: boolean
  /** The object as it will be stored; `admit` may change it. Undefined for DELETE. */
  object?: ApiObject
  old?: StoredObject
  warnings: string[]
  /** What plugins took for this write: called when it failed. */
  undo: (() => void)[]
}

export interface AdmissionPlugin {
  name: string
  /** Completes the object in place. @throws ApiError */
  admit?(request: AdmissionRequest): void
  /** Sees the object as it will be stored. @throws ApiError */
  validate?(request: AdmissionRequest): void
  /** The write happened. */
  written?(request: AdmissionRequest, result: StoredObject): void
}

export interface Admission {
  admit(request: AdmissionRequest): void
  validate(request: AdmissionRequest): void
  written(request: AdmissionRequest, result: StoredObject): void
  failed(request: AdmissionRequest): void
}

export function createAdmission(plugins: readonly AdmissionPlugin[]): Admission {
  const admitting = plugins.filter((plugin) => plugin.admit)
  const validating = plugins.filter((plugin) => plugin.validate)
  const following = plugins.filter((plugin) => plugin.written)
  return {
    admit(request) {
      for (const plugin of admitting) plugin.admit!(request)
    },
    validate(request) {
      for (const plugin of validating) plugin.validate!(request)
    },
    written(request, result) {
      for (const plugin of following) plugin.written!(request, result)
    },
    failed(request) {
      for (const undo of request.undo.splice(0)) undo()
    },
  }
}

/** 'pods', 'services' … of the core group, without subresource. */
export const isCore = (request: AdmissionRequest, plural: string): boolean =>
  request.resource.group === '' && request.resource.plural === plural && request.subresource === ''
