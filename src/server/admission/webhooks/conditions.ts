// matchConditions of webhooks: CEL expressions that must all hold for a webhook to be asked
// (apiserver admission/plugin/webhook/matchconditions, 1.36).

import { forbiddenObject } from '../../auth/authz.ts'
import type { Resource } from '../../registry.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { WebhookTools } from './dispatch.ts'

/** @throws ApiError Forbidden when an expression fails. */
export type ConditionMatcher = (request: AdmissionRequest, seenAs: Resource, tools: WebhookTools) => boolean

export function compileConditions(_conditions: { name: string; expression: string }[]): ConditionMatcher {
  return ({ resource, name }) => {
    throw forbiddenObject(resource.group, resource.plural, name, 'match conditions cannot be evaluated')
  }
}
