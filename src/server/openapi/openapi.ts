// /openapi/v3: an index and one document per group version; /openapi/v2: one document of everything. Made from the
// declarations of the kinds at the first question and kept until a kind comes or goes.

import { ApiError } from '../../api/errors.ts'
import type { ApiRequest, ApiResponse } from '../../api/exchange.ts'
import { serverVersion } from '../health.ts'
import type { Registry, Resource } from '../registry.ts'
import { documentAnswer, type HashedText, hashed, versionAnswer } from './document-answer.ts'
import { documentPath, type Json, Models } from './models.ts'
import { pathsOf } from './paths.ts'

interface Document extends HashedText {
  /** What it was made of: it stays good as long as these are the same. */
  of: readonly Resource[]
}

const info = { title: 'Kubernetes', version: serverVersion.gitVersion }

/** The document of one group version. */
export function openApiV3(resources: readonly Resource[]): Json {
  const { paths, models } = describe(resources, 3)
  return { openapi: '3.0.0', info, paths, components: { schemas: models } }
}

export function openApiV2(resources: readonly Resource[]): Json {
  const { paths, models } = describe(resources, 2)
  return { swagger: '2.0', info, paths, definitions: models }
}

function describe(resources: readonly Resource[], version: 2 | 3): { paths: Json; models: Json } {
  const models = new Models(version)
  const paths: Json = {}
  for (const resource of resources) {
    models.kind(resource)
    Object.assign(paths, pathsOf(resource, models, version))
  }
  return { paths, models: models.all }
}

/** Answers /openapi/…; undefined for a path that is none of its. */
export function createOpenApi(): (request: ApiRequest, registry: Registry) => ApiResponse | undefined {
  const documents = new Map<string, Document>()
  let generation = -1
  let groups: Partial<Record<string, Resource[]>> = {}

  function document(key: string, of: readonly Resource[], make: () => Json): Document {
    let known = documents.get(key)
    if (!known || !sameList(known.of, of)) {
      known = { ...hashed(JSON.stringify(make())), of }
      documents.set(key, known)
    }
    return known
  }

  return (request, registry) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined
    if (generation !== registry.generation()) {
      generation = registry.generation()
      groups = Object.groupBy(registry.all(), (resource) => documentPath(resource.apiVersion))
      for (const path of documents.keys()) if (path !== '' && path !== 'v2' && !groups[path]) documents.delete(path)
    }
    const versionDocument = (path: string) => document(path, groups[path]!, () => openApiV3(groups[path]!))
    const [, , version, ...rest] = request.path.split('/')
    if (version === 'v2' && rest.length === 0) {
      refuseOtherForms(request)
      return documentAnswer(
        request,
        document('v2', registry.all(), () => openApiV2(registry.all())),
        false,
      )
    }
    if (version !== 'v3') return undefined
    const path = rest.join('/')
    if (path === '')
      return documentAnswer(
        request,
        document('', registry.all(), () => index(Object.keys(groups), versionDocument)),
        false,
      )
    if (!groups[path]) return undefined
    const found = versionDocument(path)
    return versionAnswer(request, found)
  }
}

const sameList = (a: readonly Resource[], b: readonly Resource[]): boolean =>
  a.length === b.length && a.every((resource, index) => resource === b[index])

function index(paths: string[], document: (path: string) => Document): Json {
  const entries = paths
    .sort()
    .map((path) => [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${document(path).hash}` }])
  return { paths: Object.fromEntries(entries) }
}

/** Some clients ask for version 2 in protobuf only; they go on without it. */
function refuseOtherForms({ headers }: ApiRequest): void {
  const accept = headers.accept ?? ''
  if (accept === '' || /json|\*\/\*|application\/\*/.test(accept)) return
  throw new ApiError('NotAcceptable', 'only the following media types are accepted: application/json')
}
