// Questions about permissions and identity: access reviews, rules reviews, token reviews. Answered, never stored.

import { type FieldError, invalid } from '../../api/errors.ts'
import type { ApiResponse, UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'
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
  'selfsubjectaccessreviews.authorization.k8s.io'(call, object, tools) {
    refuse(object, validateAttributes(object))
    return accessReview(object, call.user, tools)
  },
  'subjectaccessreviews.authorization.k8s.io'(_, object, tools) {
    refuse(object, [...validateUser(object), ...validateAttributes(object)])
    return accessReview(object, namedUser(object), tools)
  },
  'localsubjectaccessreviews.authorization.k8s.io'(call, object, tools) {
    const { namespace } = call.info
    const asked = object.metadata.namespace
    if (asked && asked !== namespace)
      throw badRequest(`namespace on request: ${namespace} must match metadata.namespace: ${asked}`)
    refuse(object, [...validateUser(object), ...validateAttributes(object), ...validateLocal(object, namespace)])
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

function refuse(object: ApiObject, errors: FieldError[]): void {
  if (errors.length > 0) throw invalid(object.kind, '', errors, 'authorization.k8s.io')
}

/** pkg/apis/authorization/validation, 1.36. */
function validateAttributes({ spec = {} }: ApiObject): FieldError[] {
  const { resourceAttributes: asked, nonResourceAttributes: path } = spec
  const field = 'spec.resourceAttributes'
  if (asked && path)
    return [
      invalidValue('spec.nonResourceAttributes', path, 'cannot be specified in combination with resourceAttributes'),
    ]
  if (!asked && !path)
    return [invalidValue(field, null, 'exactly one of nonResourceAttributes or resourceAttributes must be specified')]
  return ['fieldSelector', 'labelSelector'].flatMap((name) => validateSelector(asked?.[name], `${field}.${name}`))
}

/** RBAC knows no selectors: they are checked and narrow nothing, as upstream. */
function validateSelector(selector: any, path: string): FieldError[] {
  if (!selector) return []
  const { rawSelector, requirements = [] } = selector
  if (rawSelector && requirements.length > 0)
    return [invalidValue(`${path}.rawSelector`, rawSelector, 'may not specified at the same time as requirements')]
  if (!rawSelector && requirements.length === 0)
    return [requiredValue(`${path}.requirements`, `when ${path} is specified, requirements or rawSelector is required`)]
  return requirements.flatMap(({ key, operator, values = [] }: any, index: number) => {
    const at = `${path}.requirements[${index}]`
    const errors = key ? [] : [requiredValue(`${at}.key`, 'must be specified')]
    const needsValues = operator === 'In' || operator === 'NotIn'
    if (needsValues && values.length === 0)
      errors.push(requiredValue(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    if (!needsValues && values.length > 0 && (operator === 'Exists' || operator === 'DoesNotExist'))
      errors.push(forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    return errors
  })
}

function validateUser({ spec = {} }: ApiObject): FieldError[] {
  const isNamed = spec.user || spec.groups?.length
  return isNamed ? [] : [invalidValue('spec.user', '', 'at least one of user or group must be specified')]
}

function validateLocal({ spec = {} }: ApiObject, namespace: string): FieldError[] {
  const errors: FieldError[] = []
  const asked = spec.resourceAttributes?.namespace ?? ''
  if (spec.resourceAttributes && asked !== namespace)
    errors.push(invalidValue('spec.resourceAttributes.namespace', asked, 'must match metadata.namespace'))
  if (spec.nonResourceAttributes)
    errors.push(
      invalidValue('spec.nonResourceAttributes', spec.nonResourceAttributes, 'disallowed on this kind of request'),
    )
  return errors
}

function accessReview(object: ApiObject, user: UserInfo, { authorizer }: ReviewTools): ApiObject {
  const { resourceAttributes: asked, nonResourceAttributes: path } = object.spec ?? {}
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
