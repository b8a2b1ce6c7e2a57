// The authorizer in CEL: authorizer.group('apps').resource('deployments').namespace('x').check('create').allowed().
// Who answers is given by the caller.

import { declare, type Library, nameType } from '../declarations.ts'
import { CelError } from '../problem.ts'
import { structType } from '../types.ts'
import { CelObject } from '../values.ts'

export const authorizerType = nameType('authorizer', structType('kubernetes.authorization.Authorizer'))
const pathType = nameType('pathcheck', structType('kubernetes.authorization.PathCheck'))
const groupType = nameType('groupcheck', structType('kubernetes.authorization.GroupCheck'))
export const resourceCheckType = nameType('resourcecheck', structType('kubernetes.authorization.ResourceCheck'))
const decisionType = nameType('decision', structType('kubernetes.authorization.Decision'))

export interface AuthorizationQuery {
  /** Instead of the user of the request. */
  serviceAccount?: { namespace: string; name: string }
  verb: string
  path?: string
  group: string
  resource: string
  subresource: string
  namespace: string
  name: string
  fieldSelector?: string
  labelSelector?: string
}
export interface AuthorizationAnswer {
  allowed: boolean
  reason: string
  error?: string
}
export type Authorize = (query: AuthorizationQuery) => AuthorizationAnswer

type Scope = Partial<Omit<AuthorizationQuery, 'verb'>>

class Check extends CelObject {
  readonly type
  readonly authorize: Authorize
  readonly scope: Scope
  constructor(type: CelObject['type'], authorize: Authorize, scope: Scope) {
    super()
    this.type = type
    this.authorize = authorize
    this.scope = scope
  }
  with(type: CelObject['type'], more: Scope): Check {
    return new Check(type, this.authorize, { ...this.scope, ...more })
  }
  override equals(other: CelObject): boolean {
    return other instanceof Check && JSON.stringify(this.scope) === JSON.stringify(other.scope)
  }
}

class Decision extends CelObject {
  readonly type = decisionType
  readonly answer: AuthorizationAnswer
  constructor(answer: AuthorizationAnswer) {
    super()
    this.answer = answer
  }
}

/** The variable `authorizer`. */
export const authorizerValue = (authorize: Authorize): CelObject => new Check(authorizerType, authorize, {})

/** The variable `authorizer.requestResource`: the resource of the request that is checked. */
export const requestResourceValue = (authorize: Authorize, request: Scope): CelObject =>
  new Check(resourceCheckType, authorize, request)

function check(value: Check, verb: string): Decision {
  const empty = { group: '', resource: '', subresource: '', namespace: '', name: '' }
  return new Decision(value.authorize({ ...empty, ...value.scope, verb }))
}

function path(value: Check, text: string): Check {
  if (text === '') throw new CelError('path must not be empty')
  return value.with(pathType, { path: text })
}

function serviceAccount(value: Check, namespace: string, name: string): Check {
  if (namespace === '' || name === '') throw new CelError('Invalid service account namespace or name')
  return value.with(authorizerType, { serviceAccount: { namespace, name } })
}

const narrowed = (field: keyof Scope) => (value: Check, text: string) =>
  value.with(resourceCheckType, { [field]: text })

export const authorization: Library = [
  declare('path', 'authorizer_path', 'authorizer.(string) pathcheck', path),
  declare('group', 'authorizer_group', 'authorizer.(string) groupcheck', (value: Check, group: string) =>
    value.with(groupType, { group }),
  ),
  declare('serviceAccount', 'authorizer_serviceaccount', 'authorizer.(string, string) authorizer', serviceAccount),
  declare('resource', 'groupcheck_resource', 'groupcheck.(string) resourcecheck', narrowed('resource')),
  declare('subresource', 'resourcecheck_subresource', 'resourcecheck.(string) resourcecheck', narrowed('subresource')),
  declare('namespace', 'resourcecheck_namespace', 'resourcecheck.(string) resourcecheck', narrowed('namespace')),
  declare('name', 'resourcecheck_name', 'resourcecheck.(string) resourcecheck', narrowed('name')),
  declare(
    'fieldSelector',
    'authorizer_fieldselector',
    'resourcecheck.(string) resourcecheck',
    narrowed('fieldSelector'),
  ),
  declare(
    'labelSelector',
    'authorizer_labelselector',
    'resourcecheck.(string) resourcecheck',
    narrowed('labelSelector'),
  ),
  declare('check', 'pathcheck_check', 'pathcheck.(string) decision', check),
  declare('check', 'resourcecheck_check', 'resourcecheck.(string) decision', check),
  declare('errored', 'decision_errored', 'decision.() bool', ({ answer }: Decision) => answer.error !== undefined),
  declare('error', 'decision_error', 'decision.() string', ({ answer }: Decision) => answer.error ?? ''),
  declare('allowed', 'decision_allowed', 'decision.() bool', ({ answer }: Decision) => answer.allowed),
  declare('reason', 'decision_reason', 'decision.() string', ({ answer }: Decision) => answer.reason),
]
