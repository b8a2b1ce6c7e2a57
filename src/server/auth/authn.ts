// Who asks: the user of a connection's client certificate, of a bearer token, or nobody; and whom they speak for
// (impersonation headers).

import { ApiError } from '../../api/errors.ts'
import type { UserInfo } from '../../api/exchange.ts'
import type { Attributes } from './authz.ts'
import { accountUser, type Tokens } from './tokens.ts'

export const anonymous: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] }

/** What a component of Tandem itself is, unless main.ts gives it a narrower user. */
export const systemUser: UserInfo = { name: 'system:apiserver', groups: ['system:masters', 'system:authenticated'] }

export const unauthorized = (): ApiError => new ApiError('Unauthorized', 'Unauthorized')

/** The certificate of a TLS connection as Node shows it, already checked against our CA. */
export function certificateUser(
  subject: { CN?: unknown; O?: unknown },
  /** 'AB:CD:…', the SHA-256 of the certificate. */
  fingerprint?: string,
): UserInfo | undefined {
  const name = [subject.CN].flat()[0]
  if (typeof name !== 'string' || name === '') return undefined
  const groups = [subject.O ?? []].flat().filter((group): group is string => typeof group === 'string')
  const user = { name, groups: [...groups, 'system:authenticated'] }
  if (!fingerprint) return user
  const credential = `X509SHA256=${fingerprint.replaceAll(':', '').toLowerCase()}`
  return { ...user, extra: { 'authentication.kubernetes.io/credential-id': [credential] } }
}

/** The bearer token of a request: a header, or, for WebSockets of browsers, a subprotocol. */
export function bearerToken(headers: Record<string, string>): string | undefined {
  const header = headers.authorization
  if (header) {
    const match = /^bearer +([^\s]+) *$/i.exec(header)
    return match ? match[1] : undefined
  }
  const prefix = 'base64url.bearer.authorization.k8s.io.'
  const protocol = (headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((part) => part.trim())
    .find((part) => part.startsWith(prefix))
  return protocol && Buffer.from(protocol.slice(prefix.length), 'base64url').toString()
}

export interface AuthenticationInput {
  headers: Record<string, string>
  /** What is asked for: some paths may be open to nobody in particular. */
  path?: string
  /** From a client certificate that our CA signed. */
  certificate?: UserInfo
  /** A certificate was shown and is not from our CA, or not valid now. */
  badCertificate?: boolean
}

/**
 * `anonymousPaths` are those that need no credentials; undefined: all, for RBAC decides then.
 * @throws ApiError Unauthorized when credentials were given and none of them holds, or none were given where one is needed.
 */
export async function authenticate(
  input: AuthenticationInput,
  tokens: Pick<Tokens, 'verify'>,
  anonymousPaths?: string[],
): Promise<UserInfo> {
  if (input.certificate) return input.certificate
  const token = bearerToken(input.headers)
  if (token) {
    const verified = await tokens.verify(token)
    if (verified) return verified.user
    throw unauthorized()
  }
  if (input.headers.authorization || input.badCertificate) throw unauthorized()
  if (anonymousPaths && !anonymousPaths.includes(input.path ?? '')) throw unauthorized()
  return anonymous
}

/** What an impersonating request asks to become, and every permission that it needs for that. */
export function impersonation(headers: Record<string, string>): { user: UserInfo; needs: Attributes[] } | undefined {
  const name = headers['impersonate-user']
  const groups = listOf(headers['impersonate-group'])
  const uid = headers['impersonate-uid']
  const extra = extraOf(headers)
  if (!name) {
    if (groups.length > 0 || uid || Object.keys(extra).length > 0)
      throw new ApiError('BadRequest', 'requested impersonation of groups, uid or extra without impersonating a user')
    return undefined
  }
  const need = (resource: string, needName: string, rest: Partial<Attributes> = {}): Attributes => ({
    verb: 'impersonate',
    group: '',
    version: 'v1',
    resource,
    subresource: '',
    namespace: '',
    name: needName,
    isResource: true,
    path: '',
    ...rest,
  })
  const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name)
  const needs = [account ? need('serviceaccounts', account[2]!, { namespace: account[1]! }) : need('users', name)]
  for (const group of groups) needs.push(need('groups', group))
  const authentication = { group: 'authentication.k8s.io' }
  if (uid) needs.push(need('uids', uid, authentication))
  for (const [key, values] of Object.entries(extra))
    for (const value of values) needs.push(need('userextras', value, { ...authentication, subresource: key }))
  const own = account && groups.length === 0 ? accountUser(account[1]!, account[2]!).groups : groups
  const standing = name === anonymous.name ? 'system:unauthenticated' : 'system:authenticated'
  const all = own.includes(standing) || own.includes('system:unauthenticated') ? own : [...own, standing]
  return {
    user: { name, groups: all, ...(uid && { uid }), ...(Object.keys(extra).length > 0 && { extra }) },
    needs,
  }
}

/** Several headers of one name arrive joined by ", ". */
const listOf = (value: string | undefined): string[] =>
  value
    ? value
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== '')
    : []

function extraOf(headers: Record<string, string>): Record<string, string[]> {
  const prefix = 'impersonate-extra-'
  const extra: Record<string, string[]> = {}
  for (const header in headers) {
    if (!header.startsWith(prefix)) continue
    let key = header.slice(prefix.length)
    try {
      key = decodeURIComponent(key)
    } catch {
      // A key that is not percent-encoded is taken as it is.
    }
    Object.defineProperty(extra, key, { value: listOf(headers[header]), enumerable: true, configurable: true })
  }
  return extra
}
