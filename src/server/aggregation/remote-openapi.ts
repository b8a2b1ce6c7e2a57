// What other servers say of their objects, among what this one says (kube-aggregator/pkg/controllers/openapi{,v3}, 1.36):
// their documents of version 3 as they are, their part of version 2 merged into the one document.

import type { ApiRequest, ApiResponse } from '../../api/exchange.ts'
import { documentAnswer, type HashedText, hashed, versionAnswer } from '../openapi/document-answer.ts'
import type { Registry } from '../registry.ts'
import { askAsAggregator, readText } from './availability.ts'
import type { ReachRemote } from './forward.ts'
import type { Remote } from './remotes.ts'

type Json = Record<string, any>

export interface RemoteOpenApi {
  /** The document of the group version, as text, and its hash. */
  v3?: HashedText
  /** Only the paths of the group version, and the definitions of the document. */
  v2?: { paths: Json; definitions: Json }
}

const documentPath = ({ group, version }: Pick<Remote, 'group' | 'version'>): string => `apis/${group}/${version}`

/** Servers need not have any of it: what is missing is missing. */
export async function fetchOpenApi(reach: ReachRemote, remote: Remote): Promise<RemoteOpenApi> {
  const read = async (path: string): Promise<string | undefined> => {
    try {
      const answer = await askAsAggregator(reach, remote, path)
      const text = await readText(answer)
      return answer.status === 200 ? text : undefined
    } catch {
      return undefined
    }
  }
  const [v3, v2] = await Promise.all([read(`/openapi/v3/${documentPath(remote)}`), read('/openapi/v2')])
  const whole = parsed(v2)
  return {
    ...(parsed(v3)?.openapi && { v3: hashed(v3!) }),
    ...(whole?.paths && { v2: ownPart(whole, `/${documentPath(remote)}/`) }),
  }
}

function parsed(text: string | undefined): Json | undefined {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

const ownPart = ({ paths, definitions = {} }: Json, prefix: string) => ({
  paths: Object.fromEntries(Object.entries(paths).filter(([path]) => path.startsWith(prefix))),
  definitions,
})

export interface WithOpenApi {
  remote: Remote
  openapi?: RemoteOpenApi
}

type OpenApi = (request: ApiRequest, registry: Registry) => ApiResponse | undefined

/** `own`, with what the remotes say added to it. */
export function withRemoteOpenApi(
  own: OpenApi,
  remotes: { documents(): readonly WithOpenApi[]; generation(): number },
): OpenApi {
  const merged = new Map<string, HashedText & { of: string }>()
  return (request, registry) => {
    const documents = remotes.documents().filter(({ openapi }) => openapi)
    const isQuestion = request.path.startsWith('/openapi/')
    if (documents.length === 0 || !isQuestion) return own(request, registry)
    const asked = documents.find(({ remote }) => request.path === `/openapi/v3/${documentPath(remote)}`)?.openapi?.v3
    if (asked) return versionAnswer(request, asked)
    const merge = { '/openapi/v3': mergeIndex, '/openapi/v2': mergeV2 }[request.path]
    const { 'if-none-match': _, ...headers } = request.headers
    const response = own({ ...request, headers }, registry)
    if (!merge || response?.status !== 200 || response.text === undefined) return own(request, registry)
    const of = `${response.headers?.etag} ${remotes.generation()}`
    let known = merged.get(request.path)
    if (known?.of !== of) {
      const text = JSON.stringify(merge(JSON.parse(response.text), documents))
      known = { of, ...hashed(text) }
      merged.set(request.path, known)
    }
    return documentAnswer(request, known, false)
  }
}

function mergeIndex(index: Json, documents: readonly WithOpenApi[]): Json {
  for (const { remote, openapi } of documents) {
    const path = documentPath(remote)
    if (openapi?.v3) index.paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${openapi.v3.hash}` }
  }
  return index
}

/** Names that both have are this server's: they mean the same types of apimachinery. */
function mergeV2(document: Json, documents: readonly WithOpenApi[]): Json {
  for (const { openapi } of documents) {
    if (!openapi?.v2) continue
    Object.assign(document.paths, openapi.v2.paths)
    document.definitions = { ...openapi.v2.definitions, ...document.definitions }
  }
  return document
}
