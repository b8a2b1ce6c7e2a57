// Bootstrap tokens that are over leave (pkg/controller/bootstrap/tokencleaner.go, 1.36).

import { isApiError } from '../api/errors.ts'
import type { ResourceRef, StoredObject } from '../api/meta.ts'
import { type ControllerDefinition, itself, reconcileOn, splitKey } from './controller.ts'
import { moment } from './moment.ts'

const secrets: ResourceRef = { group: '', version: 'v1', resource: 'secrets' }

const isToken = ({ type, metadata }: StoredObject): boolean =>
  type === 'bootstrap.kubernetes.io/token' && metadata.namespace === 'kube-system'

export const tokenCleaner: ControllerDefinition = {
  name: 'bootstrap-token-cleaner',
  start(context) {
    const { client, informers, clock } = context
    const known = informers.informer(secrets)
    return reconcileOn(
      context,
      'bootstrap-token-cleaner',
      [{ ref: secrets, keys: (secret) => (isToken(secret) ? itself(secret) : []) }],
      async (key) => {
        const secret = known.get(key)
        const text = secret?.data?.expiration
        if (!secret || !isToken(secret) || typeof text !== 'string') return undefined
        const rest = moment(Buffer.from(text, 'base64').toString()) - clock.now()
        if (Number.isNaN(rest)) return undefined
        if (rest > 0) return { requeueAfter: rest }
        const { namespace, name } = splitKey(key)
        const preconditions = { uid: secret.metadata.uid }
        await client.delete(secrets, name, namespace, { preconditions }).catch((error: unknown) => {
          if (!isApiError(error, 'NotFound')) throw error
        })
        return undefined
      },
    )
  },
}
