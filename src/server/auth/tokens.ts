// Service-account tokens: signed (ES256), verified, bound to the account and, where asked, to a Pod or Secret that must
// still exist (serviceaccount/claims.go, 1.36). A verified signature is remembered until the token expires.

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
  /** The user of a token, or undefined when it is not ours, expired, for somebody else, or what it is bound to is gone. */
  verify(token: string, audiences?: string[]): Promise<{ user: UserInfo; audiences: string[] } | undefined>
  /** The key set document of /openid/v1/jwks. */
  keys(): Promise<object>
}

/** Says whether an object with this uid exists; reads the store. */
export type Exists = (
  resource: 'serviceaccounts' | 'pods' | 'secrets',
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

export function createTokens(options: { key: KeyObject; issuer?: string; exists: Exists; now?: () => number }): Tokens {
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
        issuer,
        algorithms: ['ES256'],
        currentDate: new Date(now()),
        requiredClaims: ['exp', 'sub'],
      })
      const verified = { payload, expires: payload.exp! * 1000 }
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
    async verify(token, audiences = [issuer]) {
      const verified = await signed(token)
      if (!verified) return undefined
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

function userOf(claims: Record<string, any>, id: string, exists: Exists): UserInfo | undefined {
  const { namespace, serviceaccount: account, pod, secret, node } = claims
  if (!namespace || !account?.name || !account.uid) return undefined
  if (!exists('serviceaccounts', namespace, account.name, account.uid)) return undefined
  if (pod && !exists('pods', namespace, pod.name, pod.uid)) return undefined
  if (secret && !exists('secrets', namespace, secret.name, secret.uid)) return undefined
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
