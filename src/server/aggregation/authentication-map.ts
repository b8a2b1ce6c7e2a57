// kube-system/extension-apiserver-authentication: by it, servers behind this one know whom they may believe
// (controlplane/controller/clusterauthenticationtrust, 1.36).

import type { ApiRequest, ApiResponse } from '../../api/exchange.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { systemUser } from '../auth/authn.ts'
import type { Pki } from '../auth/pki.ts'

const maps = '/api/v1/namespaces/kube-system/configmaps'
const name = 'extension-apiserver-authentication'

export async function publishAuthentication(
  handle: (request: ApiRequest) => Promise<ApiResponse>,
  { caCert, proxyCaCert }: Partial<Pick<Pki, 'caCert' | 'proxyCaCert'>>,
): Promise<void> {
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
  const found = await send('GET', `${maps}/${name}`)
  if (found.status === 404) {
    await send('POST', maps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'kube-system' },
      data,
    })
    return
  }
  const current = found.object as ApiObject
  if (!equalJson(current.data, data)) await send('PUT', `${maps}/${name}`, { ...current, data })
}
