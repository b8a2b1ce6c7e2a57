// What a request asks for, read from its method, path and query: the URL grammar of the Kubernetes API
// (apiserver/pkg/endpoints/request/requestinfo.go, 1.36).

import type { ApiRequest } from '../api/exchange.ts'

export interface RequestInfo {
  /** False for /healthz, /version, discovery … */
  isResource: boolean
  /** get list watch create update patch delete deletecollection; for a path that is no resource the method in lower case. */
  verb: string
  path: string
  group: string
  version: string
  resource: string
  subresource: string
  /** Path elements after the subresource (portforward/22/tcp → ['22', 'tcp']). */
  rest: string[]
  namespace: string
  name: string
}

const readVerbs: Record<string, string> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' }

const flag = (value: string | null): boolean => value !== null && value !== 'false' && value !== '0'

export function parseRequest(request: Pick<ApiRequest, 'method' | 'path' | 'query'>): RequestInfo {
  const { method, path, query } = request
  const info: RequestInfo = {
    isResource: false,
    verb: method.toLowerCase(),
    path,
    group: '',
    version: '',
    resource: '',
    subresource: '',
    rest: [],
    namespace: '',
    name: '',
  }
  const parts = path.split('/').filter((part) => part !== '')
  const start = groupVersionOf(parts, info)
  if (start < 0 || parts.length <= start) return info
  let rest = parts.slice(start)
  info.isResource = true
  info.verb = readVerbs[method] ?? 'get'
  // The old form /api/v1/watch/pods, still served upstream.
  const oldWatch = rest[0] === 'watch' && rest.length > 1
  if (oldWatch) rest = rest.slice(1)
  rest = namespaceOf(rest, info)
  info.resource = rest[0] ?? ''
  info.name = rest[1] ?? ''
  info.subresource = rest[2] ?? ''
  info.rest = rest.slice(3)
  collectionVerb(info, query, oldWatch)
  return info
}

/** Reads group and version; returns where the resource starts, or -1 when the path names none. */
function groupVersionOf(parts: string[], info: RequestInfo): number {
  if (parts[0] === 'api' && parts.length >= 2) {
    info.version = parts[1]!
    return 2
  }
  if (parts[0] === 'apis' && parts.length >= 3) {
    info.group = parts[1]!
    info.version = parts[2]!
    return 3
  }
  return -1
}

function namespaceOf(rest: string[], info: RequestInfo): string[] {
  if (rest[0] !== 'namespaces' || rest.length < 2) return rest
  info.namespace = rest[1]!
  // /namespaces/x, /namespaces/x/status and /namespaces/x/finalize speak of the namespace itself.
  if (rest.length === 2 || rest[2] === 'status' || rest[2] === 'finalize') return rest
  return rest.slice(2)
}

function collectionVerb(info: RequestInfo, query: URLSearchParams, oldWatch: boolean): void {
  if (oldWatch) info.verb = 'watch'
  if (info.name === '' && info.verb === 'get') {
    info.verb = flag(query.get('watch')) ? 'watch' : 'list'
    // `kubectl wait` and friends watch one object by field selector: roles with resourceNames allow that.
    const single = /(?:^|,)metadata\.name==?([^,]+)/.exec(query.get('fieldSelector') ?? '')
    if (single) info.name = single[1]!
  } else if (info.name === '' && info.verb === 'delete') info.verb = 'deletecollection'
}
