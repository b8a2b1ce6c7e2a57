// One hostile request after another, to every path that discovery names, with every method.

import { type HostileBody, objectBody, patchBody } from './bodies.ts'
import type { Random } from './random.ts'

/** What there is to be attacked: from the kinds and the table of subresources. */
export interface Target {
  /** '/api/v1/namespaces/fuzz/pods' */
  collection: string
  subresources: string[]
  example: any
}

export interface HostileRequest {
  method: string
  path: string
  headers: Record<string, string>
  body?: HostileBody
}

const queries = [
  'limit=-1',
  'limit=99999999999',
  'limit=1&continue=AAAA',
  'limit=1&continue=%7B%22v%22%3A%22meta.k8s.io%2Fv1%22%2C%22rv%22%3A-1%2C%22start%22%3A%22..%22%7D',
  'resourceVersion=abc',
  'resourceVersion=-5',
  'resourceVersion=99999999999999999999',
  'resourceVersion=1&resourceVersionMatch=Exact',
  'resourceVersionMatch=Frob',
  `labelSelector=${encodeURIComponent('a in (b,'.repeat(2_000))}`,
  `labelSelector=${encodeURIComponent('a'.repeat(20_000))}`,
  'labelSelector=%00',
  'labelSelector=a%3D%3D%3Db',
  'fieldSelector=metadata.name%3D%5C',
  'fieldSelector=__proto__%3Dx',
  `fieldSelector=${'a%3Db,'.repeat(3_000)}`,
  'watch=1&timeoutSeconds=1&sendInitialEvents=true',
  'watch=frob',
  'watch=1&resourceVersion=1&timeoutSeconds=1',
  'timeoutSeconds=-1',
  'dryRun=All',
  'dryRun=Frob',
  'fieldValidation=Strict',
  'fieldValidation=Frob',
  'fieldManager=&force=true',
  `fieldManager=${'m'.repeat(200)}`,
  'fieldManager=fuzz&force=true',
  'pretty=true',
  'propagationPolicy=Frob',
  'gracePeriodSeconds=-9223372036854775809',
  'orphanDependents=true&propagationPolicy=Foreground',
  '%E0%A4%A',
  '__proto__=1',
]

const accepts = [
  'application/json',
  'application/json;as=Table;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io',
  'application/json;as=Frob;v=v9;g=x',
  'application/vnd.kubernetes.protobuf',
  'application/yaml',
  '*/*',
  'text/html;q=9,;;;,',
  `${'application/json,'.repeat(2_000)}`,
]

const names = ['a', 'a', 'a', 'b', 'fuzz', 'A_B', '..', '%2e%2e%2f', 'a%00b', '%', 'x'.repeat(300), '__proto__']
const others = [
  '/',
  '/apis',
  '/apis/',
  '/api/v1/',
  '/openapi/v3/apis/apps/v1?hash=x',
  '/openapi/v2',
  '/version',
  '/metrics',
  '/healthz/%00',
  '/apis/__proto__/v1',
  '/api/v1/namespaces/__proto__/pods',
  '/api/v1/watch/pods',
  '//api//v1//pods',
  '/apis/apps/v1/namespaces/fuzz/deployments/a/b/c/d',
]

export function hostileRequest(targets: readonly Target[], random: Random): HostileRequest {
  const headers: Record<string, string> = { accept: random.pick(accepts) }
  if (random.chance(0.02))
    headers['impersonate-user'] = random.pick(['', 'bob', 'system:admin\u00ff', 'x'.repeat(5_000)])
  if (random.chance(0.03)) return { method: random.pick(methods), path: random.pick(others), headers }
  const target = random.pick(targets)
  const query = random.chance(0.4) ? `?${random.pick(queries)}` : ''
  const method = random.pick(methods)
  const onCollection = method === 'POST' ? !random.chance(0.1) : random.chance(0.15)
  const subresource = !onCollection && random.chance(0.3) ? `/${random.pick([...target.subresources, 'frob'])}` : ''
  const path = `${target.collection}${onCollection ? '' : `/${random.pick(names)}${subresource}`}${query}`
  const body = bodyFor(method, target, random)
  return { method, path, headers, ...(body && { body }) }
}

const methods = ['GET', 'POST', 'POST', 'PUT', 'PUT', 'PATCH', 'PATCH', 'PATCH', 'DELETE']

function bodyFor(method: string, { example }: Target, random: Random): HostileBody | undefined {
  // Sound enough to be stored, so that later requests meet something.
  const sound = { ...example, metadata: { ...example.metadata, name: random.pick(['a', 'b', 'fuzz']) } }
  if (method === 'POST' && random.chance(0.3))
    return { type: 'application/json', bytes: Buffer.from(JSON.stringify(sound)) }
  if (method === 'POST' || method === 'PUT') return objectBody(sound, random)
  if (method === 'PATCH') return patchBody(sound, random)
  if (method === 'DELETE' && random.chance(0.5))
    return objectBody(
      { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions: { uid: 'x' } },
      random,
    )
  return undefined
}
