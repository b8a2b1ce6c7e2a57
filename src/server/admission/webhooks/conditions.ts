// matchConditions of webhooks: CEL expressions that must all hold for a webhook to be asked
// (apiserver admission/plugin/webhook/matchconditions, 1.36).

import { celMatchConditions } from '../../../api/cel/lazy.ts'
import type { MatchCondition } from '../../../api/cel/match-conditions.ts'
import { forbiddenObject } from '../../auth/authz.ts'
import type { Resource } from '../../registry.ts'
import type { AdmissionRequest } from '../admission.ts'
import { celValues } from '../cel-request.ts'
import type { WebhookTools } from './dispatch.ts'

/** @throws ApiError Forbidden when an expression fails and the webhook does not fail open. */
export type ConditionMatcher = (request: AdmissionRequest, seenAs: Resource, tools: WebhookTools) => boolean

export function compileConditions(conditions: readonly MatchCondition[], failOpen: boolean): ConditionMatcher {
  const match = celMatchConditions().compileMatchConditions(conditions)
  return (request, seenAs, tools) => {
    const { resource } = request
    const convert = (object: NonNullable<AdmissionRequest['object']>) => tools.convert(object, resource, seenAs)
    const { matches, error } = match(celValues(request, seenAs, convert, tools.authorizer))
    if (error !== undefined && !failOpen) throw forbiddenObject(resource.group, resource.plural, request.name, error)
    return matches
  }
}
