// subresources.kubevirt.io: which of its calls are served, and what it says of itself.

import { ApiError } from '../api/errors.ts'
import type { ApiResponse } from '../api/exchange.ts'
import { noSuchPath } from './call.ts'
import { serverVersion } from './health.ts'
import type { KubevirtHandler } from './subresources/kubevirt.ts'
import { aggregatedVersions, kubevirtSubresources } from './subresources/table.ts'

export async function serveMachine(
  call: Parameters<KubevirtHandler>[0],
  handlers: Record<string, KubevirtHandler>,
): Promise<ApiResponse> {
  const { info } = call
  if (!aggregatedVersions.includes(info.version)) throw noSuchPath()
  if (info.resource === 'version') return { status: 200, object: kubevirtVersion }
  if (info.resource === 'healthz') return { status: 200, object: { apiserver: { connectivity: 'ok' } } }
  if (info.resource === 'guestfs') return { status: 200, object: guestfsInfo }
  const name = [info.resource, info.subresource].filter(Boolean).join('/')
  const declared = kubevirtSubresources.get(name)
  const handler = handlers[name]
  if (!declared) throw noSuchPath()
  if (declared !== info.verb)
    throw new ApiError('MethodNotAllowed', 'the server does not allow this method on the requested resource')
  if (handler) return handler(call)
  throw new ApiError(
    'ServiceUnavailable',
    `${name} is not served by this Tandem: it needs a feature that is not switched on or not built yet`,
  )
}

/** What virtctl compares with its own version (1.9). */
const kubevirtVersion = {
  gitVersion: 'v1.9.0',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: serverVersion.buildDate,
  goVersion: serverVersion.goVersion,
  compiler: serverVersion.compiler,
  platform: serverVersion.platform,
}

/** Upstream's own image, which virtctl guestfs runs. */
const guestfsInfo = { registry: 'quay.io/kubevirt', tag: kubevirtVersion.gitVersion, imagePrefix: '' }
