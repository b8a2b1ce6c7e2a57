// The configuration of a further network, out of its NetworkAttachmentDefinition.

import { isApiError } from '../../api/errors.ts'
import type { Client } from '../../client/client.ts'
import { networkConfig } from '../../kinds/networkattachment/network-config.ts'
import type { ConfList } from './cni.ts'

const definitions = { group: 'k8s.cni.cncf.io', version: 'v1', resource: 'network-attachment-definitions' }

/** @throws Error that names the definition and says what is wrong with it */
export async function readNetwork(client: Client, at: { namespace: string; name: string }): Promise<ConfList> {
  const what = `network-attachment-definition "${at.namespace}/${at.name}"`
  try {
    const { spec } = await client.get(definitions, at.name, at.namespace)
    return networkConfig(String(spec?.config ?? ''), at.name)
  } catch (error) {
    const message = isApiError(error, 'NotFound') ? `${what} not found` : `${what}: ${(error as Error).message}`
    throw new Error(message, { cause: error })
  }
}
