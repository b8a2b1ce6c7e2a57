// Service account tokens for projected volumes: asked for by TokenRequest, bound to the Pod, kept in memory only, and
// renewed when 80 % of their life or 24 hours are over (kubelet token manager, 1.32).

import type { StoredObject } from '../../api/meta.ts'
import { resourcePath } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'

interface TokenRequestAnswer {
  status?: { token?: string; expirationTimestamp?: string }
}

interface Token {
  text: string
  renewAt: number
}

export interface TokenSource {
  audience?: string
  expirationSeconds?: number
}

export interface Tokens {
  token(pod: StoredObject, source: TokenSource): Promise<string>
  forget(podUid: string): void
}

const defaultSeconds = 3600
const longestUseMs = 24 * 3600 * 1000
const shareOfLife = 0.8
const serviceAccounts = { group: '', version: 'v1', resource: 'serviceaccounts' }

export const renewTime = (now: number, expires: number): number =>
  now + Math.min((expires - now) * shareOfLife, longestUseMs)

export function createTokens(client: Client, now: () => number = Date.now): Tokens {
  const known = new Map<string, Map<string, Token>>()

  async function request(
    pod: StoredObject,
    { audience, expirationSeconds = defaultSeconds }: TokenSource,
  ): Promise<Token> {
    const { namespace, name, uid } = pod.metadata
    const account = pod.spec?.serviceAccountName || 'default'
    const answer = await client.post<TokenRequestAnswer>(resourcePath(serviceAccounts, namespace, account, 'token'), {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: {},
      spec: {
        audiences: audience ? [audience] : [],
        expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
      },
    })
    const { token, expirationTimestamp } = answer.status ?? {}
    if (!token) throw new Error(`the server gave no token for service account ${namespace}/${account}`)
    const expires = Date.parse(expirationTimestamp ?? '')
    return {
      text: token,
      renewAt: renewTime(now(), Number.isNaN(expires) ? now() + expirationSeconds * 1000 : expires),
    }
  }

  return {
    async token(pod, source) {
      const ofPod = known.get(pod.metadata.uid) ?? new Map<string, Token>()
      known.set(pod.metadata.uid, ofPod)
      const key = `${source.audience ?? ''} ${source.expirationSeconds ?? defaultSeconds}`
      const old = ofPod.get(key)
      if (old && now() < old.renewAt) return old.text
      const fresh = await request(pod, source)
      ofPod.set(key, fresh)
      return fresh.text
    },
    forget: (podUid) => void known.delete(podUid),
  }
}
