// CONNECT: exec, attach, port-forward and proxy change no object, but admission may refuse them. What it sees are the
// options of the stream as an object (registry/core/pod/rest/subresources.go and endpoints/handlers, 1.36).

import type { UserInfo } from '../api/exchange.ts'
import type { ApiObject } from '../api/meta.ts'
import type { AdmissionRequest } from './admission/admission.ts'
import type { Engine } from './call.ts'
import type { RequestInfo } from './request.ts'

const kinds: Record<string, string> = {
  'pods/exec': 'PodExecOptions',
  'pods/attach': 'PodAttachOptions',
  'pods/portforward': 'PodPortForwardOptions',
  'pods/proxy': 'PodProxyOptions',
  'services/proxy': 'ServiceProxyOptions',
  'nodes/proxy': 'NodeProxyOptions',
}

const flags = ['stdin', 'stdout', 'stderr', 'tty']

function optionsOf(kind: string, info: RequestInfo, query: URLSearchParams): Record<string, unknown> {
  if (kind.endsWith('ProxyOptions')) return { ...(info.rest.length > 0 && { path: `/${info.rest.join('/')}` }) }
  if (kind === 'PodPortForwardOptions') {
    const ports = query.getAll('ports').flatMap((list) => list.split(',').map(Number))
    return { ...(ports.length > 0 && { ports }) }
  }
  const options: Record<string, unknown> = {}
  for (const flag of flags) if (/^(1|true)$/i.test(query.get(flag) ?? '')) options[flag] = true
  const container = query.get('container')
  if (container) options.container = container
  if (kind === 'PodExecOptions') options.command = query.getAll('command')
  return options
}

export interface Connecting {
  info: RequestInfo
  query: URLSearchParams
  user: UserInfo
}

/** @throws ApiError when admission refuses the stream. */
export async function admitConnect(engine: Engine, { info, query, user }: Connecting): Promise<void> {
  const kind = info.group === '' ? kinds[`${info.resource}/${info.subresource}`] : undefined
  const resource = kind && engine.registry.find(info.group, info.version, info.resource)
  if (!resource) return
  const object = { kind, apiVersion: 'v1', ...optionsOf(kind, info, query) } as unknown as ApiObject
  const request: AdmissionRequest = {
    operation: 'CONNECT',
    resource,
    subresource: info.subresource,
    namespace: info.namespace,
    name: info.name,
    user,
    dryRun: false,
    options: () => ({ kind, apiVersion: 'meta.k8s.io/v1' }),
    object,
    view: { kind: { group: '', version: 'v1', kind }, of: (options) => options, into: (_object, options) => options },
    warnings: [],
    undo: [],
  }
  await engine.admission.admit(request)
  await engine.admission.validate(request)
}
