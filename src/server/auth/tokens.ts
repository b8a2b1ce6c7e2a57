// Service-account tokens: signed (ES256), verified, bound to the account and, where asked, to a Pod, a Secret or a Node that
// must still exist (serviceaccount/claims.go and legacy.go, 1.36). A verified signature is remembered until the token
// expires.

import { createHash, createPublicKey, type KeyObject, randomUUID } from 'node:crypto'
import type { JWTPayload } from 'jose'
import type { UserInfo } from '../../api/exchange.ts'

export interface BoundObject {
  kind: string
  apiVersion?: string
  name: string
  uid: string
}

export interface TokenClaims {
  namespace: string
  account: { name: string; uid: string }
  pod?: { name: string; uid: string }
  secret?: { name: string; uid: string }
  node?: { name: string; uid: string }
}

export interface Tokens {
  issuer: string
  issue(
    claims: TokenClaims,
    audiences: string[],
    seconds: number,
  ): Promise<{ token: string; expirationTimestamp: string }>
  /** A token without an end, for a Secret that holds it and ends it (type kubernetes.io/service-account-token). */
  issueLegacy(namespace: string, account: { name: string; uid: string }, secret: string): Promise<string>
  /** The user of a token, or undefined when it is not ours, expired, for somebody else, or what it is bound to is gone. */
  verify(token: string, audiences?: string[]): Promise<{ user: UserInfo; audiences: string[] } | undefined>
  /** The key set document of /openid/v1/jwks. */
  keys(): Promise<object>
}

/** Says whether an object with this uid exists; reads the store. */
export type Exists = (
  resource: 'serviceaccounts' | 'pods' | 'secrets' | 'nodes',
  namespace: string,
  name: string,
  uid: string,
) => boolean

interface Verified {
  payload: JWTPayload & { 'kubernetes.io'?: Record<string, any> }
  expires: number
}

const remembered = 10_000

/** Loaded with the first token. */
const jose = () => import('jose')

async function thumbprint(key: KeyObject): Promise<string> {
  const { calculateJwkThumbprint, exportJWK } = await jose()
  return await calculateJwkThumbprint(await exportJWK(key))
}

/** The token that a Secret holds now; undefined when it is no such Secret, or gone. */
export type HeldToken = (namespace: string, secret: string) => string | undefined

const legacyIssuer = 'kubernetes/serviceaccount'
const legacyClaim = (part: string): string => `${legacyIssuer}/${part}`

export function createTokens(options: {
  key: KeyObject
  issuer?: string
  exists: Exists
  held?: HeldToken
  now?: () => number
}): Tokens {
  const issuer = options.issuer ?? 'https://kubernetes.default.svc.cluster.local'
  const now = options.now ?? Date.now
  const publicKey = createPublicKey(options.key)
  const cache = new Map<string, Verified>()
  let keyId: Promise<string> | undefined
  const kid = () => (keyId ??= thumbprint(publicKey))

  async function signed(token: string): Promise<Verified | undefined> {
    const hash = createHash('sha256').update(token).digest('base64')
    const known = cache.get(hash)
    if (known) return known.expires > now() ? known : undefined
    try {
      const { jwtVerify } = await jose()
      const { payload } = await jwtVerify(token, publicKey, {
        issuer: [issuer, legacyIssuer],
        algorithms: ['ES256'],
        currentDate: new Date(now()),
        requiredClaims: ['sub'],
      })
      if (payload.exp === undefined && payload.iss !== legacyIssuer) return undefined
      const verified = { payload, expires: (payload.exp ?? Number.POSITIVE_INFINITY) * 1000 }
      if (cache.size >= remembered) cache.delete(cache.keys().next().value!)
      cache.set(hash, verified)
      return verified
    } catch {
      return undefined
    }
  }

  return {
    issuer,
    async issue(claims, audiences, seconds) {
      const { SignJWT } = await jose()
      const issued = Math.floor(now() / 1000)
      const expires = issued + seconds
      const token = await new SignJWT({
        'kubernetes.io': {
          namespace: claims.namespace,
          serviceaccount: claims.account,
          ...(claims.pod && { pod: claims.pod }),
          ...(claims.secret && { secret: claims.secret }),
          ...(claims.node && { node: claims.node }),
        },
      })
        .setProtectedHeader({ alg: 'ES256', kid: await kid() })
        .setIssuer(issuer)
        .setSubject(`system:serviceaccount:${claims.namespace}:${claims.account.name}`)
        .setAudience(audiences.length > 0 ? audiences : [issuer])
        .setJti(randomUUID())
        .setIssuedAt(issued)
        .setNotBefore(issued)
        .setExpirationTime(expires)
        .sign(options.key)
      return { token, expirationTimestamp: new Date(expires * 1000).toISOString().replace('.000Z', 'Z') }
    },
    async issueLegacy(namespace, account, secret) {
      const { SignJWT } = await jose()
      return await new SignJWT({
        [legacyClaim('namespace')]: namespace,
        [legacyClaim('secret.name')]: secret,
        [legacyClaim('service-account.name')]: account.name,
        [legacyClaim('service-account.uid')]: account.uid,
      })
        .setProtectedHeader({ alg: 'ES256', kid: await kid() })
        .setIssuer(legacyIssuer)
        .setSubject(`system:serviceaccount:${namespace}:${account.name}`)
        .sign(options.key)
    },
    async verify(token, audiences = [issuer]) {
      const verified = await signed(token)
      if (!verified) return undefined
      if (verified.payload.iss === legacyIssuer) {
        const user = audiences.includes(issuer) ? legacyUser(verified.payload, token, options) : undefined
        return user && { user, audiences: [issuer] }
      }
      const has = [verified.payload.aud ?? []].flat()
      const shared = audiences.filter((audience) => has.includes(audience))
      if (shared.length === 0) return undefined
      const claims = verified.payload['kubernetes.io']
      const user = claims && userOf(claims, String(verified.payload.jti ?? ''), options.exists)
      return user && { user, audiences: shared }
    },
    async keys() {
      const jwk = await (await jose()).exportJWK(publicKey)
      return { keys: [{ use: 'sig', ...jwk, kid: await kid(), alg: 'ES256' }] }
    },
  }
}

/** Such a token holds as long as its Secret holds it. */
function legacyUser(
  payload: JWTPayload,
  token: string,
  { exists, held }: { exists: Exists; held?: HeldToken },
): UserInfo | undefined {
  const of = (part: string) => String(payload[legacyClaim(part)] ?? '')
  const [namespace, secret] = [of('namespace'), of('secret.name')]
  const [name, uid] = [of('service-account.name'), of('service-account.uid')]
  if (!exists('serviceaccounts', namespace, name, uid) || held?.(namespace, secret) !== token) return undefined
  return accountUser(namespace, name, uid)
}

function userOf(claims: Record<string, any>, id: string, exists: Exists): UserInfo | undefined {
  const { namespace, serviceaccount: account, pod, secret, node } = claims
  if (!namespace || !account?.name || !account.uid) return undefined
  if (!exists('serviceaccounts', namespace, account.name, account.uid)) return undefined
  if (pod && !exists('pods', namespace, pod.name, pod.uid)) return undefined
  if (secret && !exists('secrets', namespace, secret.name, secret.uid)) return undefined
  // A Pod's token names its node beside the Pod; a token for a node goes with the node.
  if (node && !pod && !exists('nodes', '', node.name, node.uid)) return undefined
  const extra: Record<string, string[]> = {}
  if (id) extra['authentication.kubernetes.io/credential-id'] = [`JTI=${id}`]
  if (pod) {
    extra['authentication.kubernetes.io/pod-name'] = [pod.name]
    extra['authentication.kubernetes.io/pod-uid'] = [pod.uid]
  }
  if (node) {
    extra['authentication.kubernetes.io/node-name'] = [node.name]
    if (node.uid) extra['authentication.kubernetes.io/node-uid'] = [node.uid]
  }
  return { ...accountUser(namespace, account.name, account.uid), ...(Object.keys(extra).length > 0 && { extra }) }
}

/** A service account as a user. */
export const accountUser = (namespace: string, name: string, uid?: string): UserInfo => ({
  name: `system:serviceaccount:${namespace}:${name}`,
  ...(uid && { uid }),
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
})
