// Questions about permissions and identity: access reviews, rules reviews, token reviews. Answered, never stored.

import { invalid } from '../../api/errors.ts'
import type { ApiResponse, UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { requirePlainForm } from '../accept.ts'
import type { Attributes, Authorizer, PolicyRule } from '../auth/authz.ts'
import type { Tokens } from '../auth/tokens.ts'
import { readBody } from '../body.ts'
import { badRequest, type Call, writeOptions } from '../call.ts'
import { readObject } from '../conform.ts'

export interface ReviewTools {
  authorizer: Authorizer
  tokens: Tokens
}

type Review = (call: Call, object: ApiObject, tools: ReviewTools) => ApiObject | Promise<ApiObject>

const reviews: Record<string, Review> = {
  'selfsubjectaccessreviews.authorization.k8s.io': (call, object, tools) => accessReview(object, call.user, tools),
  'subjectaccessreviews.authorization.k8s.io': (_, object, tools) => accessReview(object, namedUser(object), tools),
  'localsubjectaccessreviews.authorization.k8s.io'(call, object, tools) {
    const asked = object.spec?.resourceAttributes?.namespace
    if (asked !== call.info.namespace)
      throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${call.info.namespace}`)
    return accessReview(object, namedUser(object), tools)
  },
  'selfsubjectrulesreviews.authorization.k8s.io': rulesReview,
  'selfsubjectreviews.authentication.k8s.io': (call, object) => ({
    ...object,
    status: { userInfo: shown(call.user) },
  }),
  'tokenreviews.authentication.k8s.io': tokenReview,
}

export const isReview = (groupResource: string): boolean => groupResource in reviews

export async function review(call: Call, tools: ReviewTools): Promise<ApiResponse> {
  requirePlainForm(call.request.headers.accept)
  const options = writeOptions(call)
  const body = readBody(call.request, options.fieldValidation !== 'Ignore')
  const object = readObject(call, call.resource, body, options)
  delete object.status
  return { status: 201, object: await reviews[call.resource.groupResource]!(call, object, tools) }
}

function accessReview(object: ApiObject, user: UserInfo, { authorizer }: ReviewTools): ApiObject {
  const { resourceAttributes: asked, nonResourceAttributes: path } = object.spec ?? {}
  if (Boolean(asked) === Boolean(path))
    throw invalid(
      object.kind,
      '',
      [
        {
          type: asked ? 'FieldValueInvalid' : 'FieldValueInvalid',
          field: 'spec.resourceAttributes',
          value: asked ?? null,
          detail: asked
            ? 'cannot be specified in combination with nonResourceAttributes'
            : 'exactly one of nonResourceAttributes or resourceAttributes must be specified',
        },
      ],
      'authorization.k8s.io',
    )
  const attributes: Attributes = asked
    ? {
        verb: asked.verb ?? '',
        isResource: true,
        path: '',
        group: asked.group ?? '',
        version: asked.version ?? '',
        resource: asked.resource ?? '',
        subresource: asked.subresource ?? '',
        namespace: asked.namespace ?? '',
        name: asked.name ?? '',
      }
    : {
        verb: path.verb ?? '',
        isResource: false,
        path: path.path ?? '',
        group: '',
        version: '',
        resource: '',
        subresource: '',
        namespace: '',
        name: '',
      }
  const { allowed, reason } = authorizer.decide(user, attributes)
  return { ...object, status: { allowed, ...(reason && { reason }) } }
}

function namedUser(object: ApiObject): UserInfo {
  const { user = '', groups = [], uid, extra } = object.spec ?? {}
  if (!user && groups.length === 0)
    throw invalid(
      object.kind,
      '',
      [
        {
          type: 'FieldValueInvalid',
          field: 'spec.user',
          value: '',
          detail: 'at least one of user or group must be specified',
        },
      ],
      'authorization.k8s.io',
    )
  return { name: user, groups, ...(uid && { uid }), ...(extra && { extra }) }
}

function rulesReview(call: Call, object: ApiObject, { authorizer }: ReviewTools): ApiObject {
  const namespace = object.spec?.namespace
  if (!namespace) throw badRequest('no namespace on request')
  const rules = authorizer.rulesFor(call.user, namespace)
  const pick = (rule: PolicyRule, fields: (keyof PolicyRule)[]) =>
    Object.fromEntries(fields.filter((field) => rule[field]?.length).map((field) => [field, rule[field]]))
  return {
    ...object,
    status: {
      resourceRules: rules
        .filter((rule) => rule.resources?.length)
        .map((rule) => pick(rule, ['verbs', 'apiGroups', 'resources', 'resourceNames'])),
      nonResourceRules: rules
        .filter((rule) => rule.nonResourceURLs?.length)
        .map((rule) => pick(rule, ['verbs', 'nonResourceURLs'])),
      incomplete: false,
    },
  }
}

async function tokenReview(_: Call, object: ApiObject, { tokens }: ReviewTools): Promise<ApiObject> {
  const { token, audiences } = object.spec ?? {}
  if (!token) throw badRequest('token is required for TokenReview in authentication')
  const verified = await tokens.verify(token, audiences?.length ? audiences : undefined)
  const status = verified
    ? { authenticated: true, user: shown(verified.user), audiences: verified.audiences }
    : { user: {}, error: 'invalid bearer token' }
  return { ...object, status }
}

const shown = (user: UserInfo) => ({
  username: user.name,
  ...(user.uid && { uid: user.uid }),
  groups: user.groups,
  ...(user.extra && { extra: user.extra }),
})
