// The URL paths of a resource with their operations, as OpenAPI describes them. kubectl reads two things here: whether
// a patch knows `fieldValidation`, and which kind stands behind a resource's path.

import type { Resource } from '../registry.ts'
import { subresourceTable } from '../subresources/table.ts'
import { documentPath, type Json, kindModel, type Models, typeNameOf } from './models.ts'

interface Operation {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** x-kubernetes-action */
  action: string
  id: string
  gvk: { group: string; kind: string; version: string }
  query: string[]
  body?: Json
  answer?: Json
}

const write = ['dryRun', 'fieldManager', 'fieldValidation']
const read = ['pretty']
const select = [
  ...['allowWatchBookmarks', 'continue', 'fieldSelector', 'labelSelector', 'limit', 'resourceVersion'],
  ...['resourceVersionMatch', 'sendInitialEvents', 'timeoutSeconds', 'watch'],
]
const deletion = ['dryRun', 'gracePeriodSeconds', 'orphanDependents', 'propagationPolicy']

const booleans = new Set(['allowWatchBookmarks', 'force', 'orphanDependents', 'sendInitialEvents', 'watch'])
const integers = new Set(['gracePeriodSeconds', 'limit', 'timeoutSeconds'])
const typeOfQuery = (name: string) => (booleans.has(name) ? 'boolean' : integers.has(name) ? 'integer' : 'string')

const patchTypes = ['application/apply-patch+yaml', 'application/json-patch+json', 'application/merge-patch+json']
/** For built-in kinds only; by this kubectl chooses how it patches. */
const strategic = 'application/strategic-merge-patch+json'

/** Every path of one resource, in the form of the document's version. */
export function pathsOf(resource: Resource, models: Models, version: 2 | 3): Json {
  const paths: Json = {}
  const add = (path: string, names: string[], operations: Operation[]) => {
    if (operations.length === 0) return
    const item: Json = names.length > 0 ? { parameters: names.map((name) => parameter(name, 'path', version)) } : {}
    const patches = resource.custom ? patchTypes : [...patchTypes, strategic]
    for (const operation of operations) item[operation.method] = operationJson(operation, version, patches)
    paths[path] = item
  }
  const base = `/${documentPath(resource.apiVersion)}`
  const inside = resource.namespaced ? `${base}/namespaces/{namespace}` : base
  const scope = resource.namespaced ? ['namespace'] : []
  const make = operationsFor(resource, models)
  if (resource.namespaced && !resource.kind.virtual) add(`${base}/${resource.plural}`, [], make.everywhere())
  add(`${inside}/${resource.plural}`, scope, make.collection())
  add(`${inside}/${resource.plural}/{name}`, ['name', ...scope], make.object())
  for (const [name, operations] of make.subresources())
    add(`${inside}/${resource.plural}/{name}/${name}`, ['name', ...scope], operations)
  return paths
}

function operationsFor(resource: Resource, models: Models) {
  const { kind, group, version, verbs } = resource
  const gvk = { group, kind: kind.kind, version }
  const model = models.ref(kindModel(resource))
  const list = () => models.ref(models.listModel(resource))
  const suffix = kind.kind
  const options = () => models.type('meta.v1.DeleteOptions', kind.types)
  const status = () => models.type('meta.v1.Status', kind.types)
  const has = (verb: string, operation: () => Operation): Operation[] => (verbs.has(verb) ? [operation()] : [])
  const lists = (id: string): Operation[] =>
    has('list', () => ({ method: 'get', action: 'list', id, gvk, query: select, answer: list() }))

  const change = (name: string, model: Json, kindOf = gvk): Operation[] => [
    { method: 'get', action: 'get', id: `read${name}`, gvk: kindOf, query: read, answer: model },
    { method: 'put', action: 'put', id: `replace${name}`, gvk: kindOf, query: write, body: model, answer: model },
    {
      method: 'patch',
      action: 'patch',
      id: `patch${name}`,
      gvk: kindOf,
      query: [...write, 'force'],
      body: {},
      answer: model,
    },
  ]

  return {
    everywhere: () => lists(`list${suffix}ForAllNamespaces`),
    collection: (): Operation[] => [
      ...lists(`list${suffix}`),
      ...has('create', () => ({
        method: 'post',
        action: 'post',
        id: `create${suffix}`,
        gvk,
        query: write,
        body: model,
        answer: model,
      })),
      ...has('deletecollection', () => ({
        method: 'delete',
        action: 'deletecollection',
        id: `deleteCollection${suffix}`,
        gvk,
        query: [...select, ...deletion],
        body: options(),
        answer: status(),
      })),
    ],
    object: (): Operation[] => {
      if (kind.virtual) return []
      const served: Record<string, string> = { get: 'get', put: 'update', patch: 'patch' }
      return [
        ...change(suffix, model).filter((operation) => verbs.has(served[operation.method]!)),
        ...has('delete', () => ({
          method: 'delete',
          action: 'delete',
          id: `delete${suffix}`,
          gvk,
          query: deletion,
          body: options(),
          answer: status(),
        })),
      ]
    },
    subresources: (): [string, Operation[]][] => {
      const result: [string, Operation[]][] = []
      if (resource.hasStatus) result.push(['status', change(`${suffix}Status`, model)])
      if (resource.scale) {
        const scale = models.type('autoscaling.v1.Scale', kind.types)
        result.push(['scale', change(`${suffix}Scale`, scale, { group: 'autoscaling', kind: 'Scale', version: 'v1' })])
      }
      for (const { subresource, kind: of, verbs: allowed } of subresourceTable[resource.groupResource] ?? []) {
        const typeName = typeNameOf(of.group, of.version, of.kind)
        const body = typeName in kind.types ? models.type(typeName, kind.types) : undefined
        const operations = allowed.flatMap((verb) => connect(verb, `${suffix}${subresource}`, of, body))
        result.push([subresource, operations])
      }
      return result
    },
  }
}

/** An operation on a subresource that is no part of the object: a stream, a request. */
function connect(verb: string, id: string, gvk: Operation['gvk'], body: Json | undefined): Operation[] {
  const methods: Record<string, Operation['method']> = { create: 'post', get: 'get', update: 'put', patch: 'patch' }
  const method = methods[verb]
  if (!method) return []
  const withBody = body && method !== 'get'
  return [
    {
      method,
      action: body ? method : 'connect',
      id: `${method}${id}`,
      gvk: { group: gvk.group, kind: gvk.kind, version: gvk.version },
      query: body && method !== 'get' ? write : [],
      ...(withBody && { body: method === 'patch' ? {} : body }),
      ...(body && { answer: body }),
    },
  ]
}

function parameter(name: string, place: 'path' | 'query', version: 2 | 3): Json {
  const type = place === 'path' ? 'string' : typeOfQuery(name)
  const required = place === 'path' ? { required: true } : {}
  return version === 3
    ? { name, in: place, ...required, schema: { type, uniqueItems: true } }
    : { name, in: place, ...required, type, uniqueItems: true }
}

function operationJson(operation: Operation, version: 2 | 3, patches: string[]): Json {
  const { action, gvk, id, query, body, answer, method } = operation
  const success = method === 'post' ? '201' : '200'
  const shared = {
    operationId: id,
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
  }
  const parameters = query.map((name) => parameter(name, 'query', version))
  const types = method === 'patch' ? patches : ['application/json']
  const schema = method === 'patch' ? { type: 'object' } : body
  if (version === 3) {
    const content = (schema: Json, mediaTypes: string[]) =>
      Object.fromEntries(mediaTypes.map((mediaType) => [mediaType, { schema }]))
    return {
      ...shared,
      ...(parameters.length > 0 && { parameters }),
      ...(schema && { requestBody: { required: method !== 'delete', content: content(schema, types) } }),
      responses: {
        [success]: { description: 'OK', ...(answer && { content: content(answer, ['application/json']) }) },
        401: { description: 'Unauthorized' },
      },
    }
  }
  const inBody = schema && { in: 'body', name: 'body', required: method !== 'delete', schema }
  return {
    ...shared,
    consumes: types,
    produces: ['application/json'],
    parameters: inBody ? [inBody, ...parameters] : parameters,
    responses: {
      [success]: { description: 'OK', ...(answer && { schema: answer }) },
      401: { description: 'Unauthorized' },
    },
  }
}
