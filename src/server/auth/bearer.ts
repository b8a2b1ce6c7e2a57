// Every kind of bearer token, asked one after the other: our service accounts, bootstrap tokens, other issuers.

import type { StoredObject } from '../../api/meta.ts'
import { bootstrapUser } from './bootstrap-tokens.ts'
import type { TokenVerifier } from './oidc.ts'
import type { Tokens } from './tokens.ts'

export interface BearerOptions {
  /** Reads a Secret. */
  secret(namespace: string, name: string): StoredObject | undefined
  others?: TokenVerifier
  now: () => number
}

export function withOtherTokens(tokens: Tokens, { secret, others, now }: BearerOptions): Tokens {
  return {
    ...tokens,
    async verify(token, audiences) {
      const own = await tokens.verify(token, audiences)
      if (own) return own
      const isForUs = !audiences || audiences.includes(tokens.issuer)
      const joining = isForUs ? bootstrapUser(token, (name) => secret('kube-system', name), now()) : undefined
      if (joining) return { user: joining, audiences: [tokens.issuer] }
      return others?.verify(token, audiences)
    },
  }
}

/** What a Secret of the type kubernetes.io/service-account-token holds. */
export function heldToken(secret: StoredObject | undefined): string | undefined {
  if (secret?.type !== 'kubernetes.io/service-account-token' || secret.metadata.deletionTimestamp) return undefined
  const { token } = secret.data ?? {}
  return typeof token === 'string' ? Buffer.from(token, 'base64').toString() : undefined
}
