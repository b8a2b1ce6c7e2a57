// kube-system/extension-apiserver-authentication: by it, servers behind this one know whom they may believe
// (controlplane/controller/clusterauthenticationtrust, 1.36).

import type { ApiRequest, ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { systemUser } from '../auth/authn.ts'
import type { Pki } from '../auth/pki.ts'

const maps = '/api/v1/namespaces/kube-system/configmaps'
const name = 'extension-apiserver-authentication'

type Handle = (request: ApiRequest) => Promise<ApiResponse>
type Certificates = Partial<Pick<Pki, 'caCert' | 'proxyCaCert'>>

/** How often upstream's controller looks when nobody has told it of a change. */
const lookEveryMs = 60_000

/**
 * Makes it, and makes it again for as long as the server runs: who changes or deletes it locks out those servers.
 * @throws Error when it cannot be made at the start; its namespace must be there
 */
export async function keepAuthentication(
  handle: Handle,
  certificates: Certificates,
  ended: AbortSignal,
): Promise<void> {
  await publishAuthentication(handle, certificates)
  const timer = setInterval(() => void publishAuthentication(handle, certificates).catch(() => {}), lookEveryMs)
  timer.unref()
  ended.addEventListener('abort', () => clearInterval(timer), { once: true })
}

export async function publishAuthentication(handle: Handle, { caCert, proxyCaCert }: Certificates): Promise<void> {
  if (!caCert || !proxyCaCert) return
  const data: Record<string, string> = {
    'client-ca-file': caCert,
    'requestheader-allowed-names': '["front-proxy-client"]',
    'requestheader-client-ca-file': proxyCaCert,
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-uid-headers': '["X-Remote-Uid"]',
    'requestheader-username-headers': '["X-Remote-User"]',
  }
  const send = (method: 'GET' | 'POST' | 'PUT', path: string, body?: ApiObject) => {
    const headers = { 'user-agent': 'tandem-bootstrap' }
    const query = new URLSearchParams()
    return handle({ method, path, query, headers, user: systemUser, ...(body && { body }) })
  }
  const fresh = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'kube-system' }, data }
  const found = await send('GET', `${maps}/${name}`)
  const current = found.object as ApiObject
  if (found.status === 200 && equalJson(current.data, data)) return
  const written =
    found.status === 200 ? await send('PUT', `${maps}/${name}`, { ...current, data }) : await send('POST', maps, fresh)
  if (written.status >= 300) throw new Error(`cannot write ${maps}/${name}: ${(written.object as ApiObject).message}`)
}
