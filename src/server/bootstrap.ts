// What exists before the first user comes: the system's namespaces, the roles and their bindings. All of it through the
// same door as everything. (The `kubernetes` Service is a controller's.)

import { ApiError, type Status } from '../api/errors.ts'
import type { ApiResponse } from '../api/exchange.ts'
import type { ApiObject } from '../api/meta.ts'
import { equalJson } from '../api/walk/plain.ts'
import type { ApiServer } from './apiserver.ts'
import { systemUser } from './auth/authn.ts'
import { bootstrapObjects } from './auth/bootstrap.ts'

type Server = Pick<ApiServer, 'handle' | 'registry'>

const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

export async function bootstrap(server: Server): Promise<void> {
  for (const name of namespaces)
    await ensure(server, '', 'namespaces', '', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  for (const { plural, object } of bootstrapObjects())
    await ensure(server, 'rbac.authorization.k8s.io', plural, '', object as unknown as ApiObject, [
      'rules',
      'roleRef',
      'subjects',
    ])
}

async function call(server: Server, method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<ApiResponse> {
  const headers = { 'user-agent': 'tandem-bootstrap' }
  const response = await server.handle({
    method,
    path,
    query: new URLSearchParams(),
    headers,
    user: systemUser,
    ...(body && { body }),
  })
  if (response.status >= 400 && response.status !== 404 && response.status !== 409)
    throw ApiError.fromStatus(response.object as Status)
  return response
}

/** Creates what is missing; puts back the fields in `owned` unless somebody switched autoupdate off. */
async function ensure(
  server: Server,
  group: string,
  plural: string,
  namespace: string,
  object: ApiObject,
  owned: string[] = [],
): Promise<void> {
  const resource = server.registry.preferred(group, plural)
  if (!resource) return
  const base = group ? `/apis/${group}/${resource.version}` : `/api/${resource.version}`
  const collection = namespace ? `${base}/namespaces/${namespace}/${plural}` : `${base}/${plural}`
  const path = `${collection}/${object.metadata.name}`
  const found = await call(server, 'GET', path)
  if (found.status === 404) {
    await call(server, 'POST', collection, object)
    return
  }
  const current = found.object as ApiObject
  const stays = current.metadata.annotations?.['rbac.authorization.kubernetes.io/autoupdate'] === 'false'
  if (stays || owned.every((field) => equalJson(current[field], object[field]))) return
  const wanted: ApiObject = { ...current }
  for (const field of owned) wanted[field] = object[field]
  await call(server, 'PUT', path, wanted)
}
