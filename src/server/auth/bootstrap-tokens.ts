// Bootstrap tokens: a machine that joins shows one to get its first certificate. Each is a Secret in kube-system
// (plugin/pkg/auth/authenticator/token/bootstrap, 1.36).

import { timingSafeEqual } from 'node:crypto'
import type { UserInfo } from '../../api/exchange.ts'
import type { StoredObject } from '../../api/meta.ts'
import { parseTime } from '../../api/time.ts'

const form = /^([a-z0-9]{6})\.([a-z0-9]{16})$/
const group = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/

const textOf = (secret: StoredObject, key: string): string =>
  Buffer.from(String(secret.data?.[key] ?? ''), 'base64').toString()

/** Compares without telling by its time how much fits. */
function isSame(given: string, held: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(held)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** `find` reads a Secret of kube-system. */
export function bootstrapUser(
  token: string,
  find: (name: string) => StoredObject | undefined,
  now: number,
): UserInfo | undefined {
  const [, id, key] = form.exec(token) ?? []
  if (!id || !key) return undefined
  const secret = find(`bootstrap-token-${id}`)
  if (secret?.type !== 'bootstrap.kubernetes.io/token' || secret.metadata.deletionTimestamp) return undefined
  if (textOf(secret, 'token-id') !== id || !isSame(key, textOf(secret, 'token-secret'))) return undefined
  if (textOf(secret, 'usage-bootstrap-authentication') !== 'true') return undefined
  const expiration = textOf(secret, 'expiration')
  // A time that cannot be read ends the token rather than making it last for ever.
  if (expiration && !((parseTime(expiration) ?? 0) > now)) return undefined
  const extra = textOf(secret, 'auth-extra-groups').split(',').filter(Boolean)
  if (!extra.every((name) => group.test(name))) return undefined
  return { name: `system:bootstrap:${id}`, groups: ['system:bootstrappers', ...extra, 'system:authenticated'] }
}
