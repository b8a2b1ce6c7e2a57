// A request to the server as CEL sees it: for match conditions of webhooks and for admission policies.

import type { AdmissionInput } from '../../api/cel/admission.ts'
import { celAdmission } from '../../api/cel/lazy.ts'
import type { Authorize } from '../../api/cel/library/authorizer.ts'
import type { UserInfo } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import type { Authorizer } from '../auth/authz.ts'
import type { Resource } from '../registry.ts'
import type { AdmissionRequest } from './admission.ts'
import { namespaceOf } from './webhooks/review.ts'

/** What an expression asks of the authorizer, answered for the user of the request. */
export function authorizeFor(authorizer: Authorizer, user: UserInfo): Authorize {
  return ({ serviceAccount, path, verb, ...attributes }) => {
    const asked = serviceAccount ? serviceAccountUser(serviceAccount.namespace, serviceAccount.name) : user
    return authorizer.decide(asked, {
      verb,
      isResource: path === undefined,
      path: path ?? '',
      version: '*',
      group: attributes.group,
      resource: attributes.resource,
      subresource: attributes.subresource,
      namespace: attributes.namespace,
      name: attributes.name,
    })
  }
}

const serviceAccountUser = (namespace: string, name: string): UserInfo => ({
  name: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
})

/** @param convert shows an object in the version that was matched */
export function celInput(
  request: AdmissionRequest,
  seenAs: Resource,
  convert: (object: ApiObject) => ApiObject,
  authorizer: Authorizer | undefined,
): AdmissionInput {
  const { view } = request
  const shown = (object: ApiObject | undefined): ApiObject | null =>
    object ? convert(view ? view.of(object) : object) : null
  return {
    object: shown(request.object),
    oldObject: shown(request.old),
    request: requestObject(request, seenAs),
    ...(authorizer && { authorize: authorizeFor(authorizer, request.user) }),
  }
}

export const celValues = (
  request: AdmissionRequest,
  seenAs: Resource,
  convert: (object: ApiObject) => ApiObject,
  authorizer: Authorizer | undefined,
): ((name: string) => unknown) => celAdmission().admissionValues(celInput(request, seenAs, convert, authorizer))

function requestObject(request: AdmissionRequest, seenAs: Resource): Record<string, unknown> {
  const { user, resource, subresource, view, operation } = request
  const kindOf = ({ kind }: Resource) => view?.kind ?? { group: kind.group, version: kind.version, kind: kind.kind }
  const resourceOf = ({ group, version, plural }: Resource) => ({ group, version, resource: plural })
  const namespace = namespaceOf(request)
  return {
    kind: kindOf(seenAs),
    resource: resourceOf(seenAs),
    ...(subresource && { subResource: subresource, requestSubResource: subresource }),
    requestKind: kindOf(resource),
    requestResource: resourceOf(resource),
    ...(request.name && { name: request.name }),
    ...(namespace && { namespace }),
    operation,
    userInfo: {
      username: user.name,
      ...(user.uid && { uid: user.uid }),
      ...(user.groups.length > 0 && { groups: user.groups }),
      ...(user.extra && { extra: user.extra }),
    },
    dryRun: request.dryRun,
    options: operation === 'CONNECT' ? null : request.options(),
  }
}
