// Secrets that hold a token of a ServiceAccount without an end: filled when somebody makes one, removed with the account
// (pkg/controller/serviceaccount/tokens_controller.go, 1.36).

import { isApiError } from '../api/errors.ts'
import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { type ControllerDefinition, itself, reconcileOn, splitKey } from './controller.ts'
import { serviceAccounts } from './resources.ts'

const secrets: ResourceRef = { group: '', version: 'v1', resource: 'secrets' }
const type = 'kubernetes.io/service-account-token'
const nameAnnotation = 'kubernetes.io/service-account.name'
const uidAnnotation = 'kubernetes.io/service-account.uid'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const accountOf = (secret: StoredObject): string => secret.metadata.annotations?.[nameAnnotation] ?? ''

/** What a Secret still lacks; undefined when it is complete. Pure. */
export function missingParts(
  secret: StoredObject,
  uid: string,
  ca: string,
): { data: object; needsToken: boolean } | undefined {
  const data: Record<string, string> = { ...secret.data }
  const wanted: Record<string, string> = { 'ca.crt': base64(ca), namespace: base64(secret.metadata.namespace ?? '') }
  const needsToken = !data.token
  const isRight = secret.metadata.annotations?.[uidAnnotation] === uid
  if (!needsToken && isRight && Object.entries(wanted).every(([key, value]) => data[key] === value)) return undefined
  return { data: { ...data, ...wanted }, needsToken }
}

export const serviceAccountTokens: ControllerDefinition = {
  name: 'serviceaccount-token',
  start(context) {
    const { client, informers, settings } = context
    const known = informers.informer(secrets)
    const accounts = informers.informer(serviceAccounts)
    const isOurs = (secret: StoredObject) => secret.type === type && accountOf(secret) !== ''

    /** The server is asked before a Secret goes because of an account that is not there. */
    const find = (namespace: string, name: string) =>
      accounts.get(`${namespace}/${name}`) ??
      client.get(serviceAccounts, name, namespace).catch((error: unknown) => {
        if (isApiError(error, 'NotFound')) return undefined
        throw error
      })

    async function sync(key: string): Promise<undefined> {
      const secret = known.get(key)
      if (!secret || !isOurs(secret) || secret.metadata.deletionTimestamp || !settings.issueAccountToken) return
      const { namespace, name } = splitKey(key)
      const account = await find(namespace, accountOf(secret))
      const uid = secret.metadata.annotations?.[uidAnnotation]
      if (!account || (uid && uid !== account.metadata.uid)) {
        const preconditions = { uid: secret.metadata.uid }
        await client.delete(secrets, name, namespace, { preconditions }).catch((error: unknown) => {
          if (!isApiError(error, 'NotFound')) throw error
        })
        return
      }
      const owner = { name: account.metadata.name, uid: account.metadata.uid }
      const missing = missingParts(secret, owner.uid, settings.caCertificate)
      if (!missing) return
      const token = missing.needsToken ? await settings.issueAccountToken(namespace, owner, name) : undefined
      const annotations = { ...secret.metadata.annotations, [uidAnnotation]: owner.uid }
      await client.update(secrets, {
        ...secret,
        metadata: { ...secret.metadata, annotations },
        data: { ...missing.data, ...(token && { token: base64(token) }) },
      })
    }

    return reconcileOn(
      context,
      'serviceaccount-token',
      [
        { ref: secrets, keys: (secret) => (isOurs(secret) ? itself(secret) : []) },
        {
          ref: serviceAccounts,
          keys: ({ metadata }) =>
            known
              .list(metadata.namespace)
              .filter((secret) => isOurs(secret) && accountOf(secret) === metadata.name)
              .flatMap(itself),
        },
      ],
      sync,
    )
  },
}
