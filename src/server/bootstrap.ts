// What exists before the first user comes: the system's namespaces, the roles and their bindings, the priority levels of
// requests. All of it through the same door as everything. (The `kubernetes` Service is a controller's.)

import { ApiError, type Status } from '../api/errors.ts'
import type { ApiResponse } from '../api/exchange.ts'
import type { ApiObject } from '../api/meta.ts'
import { equalJson } from '../api/walk/plain.ts'
import {
  autoUpdate,
  mandatoryLevels,
  mandatorySchemas,
  suggestedLevels,
  suggestedSchemas,
} from '../kinds/flowcontrol/defaults.ts'
import type { ApiServer } from './apiserver.ts'
import { systemUser } from './auth/authn.ts'

type Server = Pick<ApiServer, 'handle' | 'registry'>

/** An object to make, and the fields of it that are put back at each start. */
interface Wanted {
  group: string
  plural: string
  object: ApiObject
  owned: string[]
}

const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']
const rbac = 'rbac.authorization.k8s.io'
const flowControl = 'flowcontrol.apiserver.k8s.io'

const namespace = (name: string): Wanted => ({
  group: '',
  plural: 'namespaces',
  object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name } },
  owned: [],
})

function flowObjects(): Wanted[] {
  const of = (plural: string) => (object: ApiObject) => ({ group: flowControl, plural, object, owned: ['spec'] })
  return [
    ...[...mandatoryLevels, ...suggestedLevels].map(of('prioritylevelconfigurations')),
    ...[...mandatorySchemas, ...suggestedSchemas].map(of('flowschemas')),
  ]
}

export async function bootstrap(server: Server): Promise<void> {
  const { bootstrapObjects } = await import('./auth/bootstrap.ts')
  await Promise.all(namespaces.map((name) => ensure(server, namespace(name))))
  // Side by side: the store writes what comes at one moment in one go.
  const roles = bootstrapObjects().map((one) => ({ group: rbac, ...one }))
  await Promise.all([...roles, ...flowObjects()].map((wanted) => ensure(server, wanted)))
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

/** Annotations by which a person says that an object is theirs from now on. */
const handsOff = ['rbac.authorization.kubernetes.io/autoupdate', autoUpdate]

/** Creates what is missing; puts back the fields in `owned` unless somebody switched that off. */
async function ensure(server: Server, { group, plural, object, owned }: Wanted): Promise<void> {
  const resource = server.registry.preferred(group, plural)
  if (!resource) return
  const base = group ? `/apis/${group}/${resource.version}` : `/api/${resource.version}`
  const { namespace: place, name } = object.metadata
  const collection = place ? `${base}/namespaces/${place}/${plural}` : `${base}/${plural}`
  const path = `${collection}/${name}`
  const found = await call(server, 'GET', path)
  if (found.status === 404) {
    await call(server, 'POST', collection, object)
    return
  }
  const current = found.object as ApiObject
  const stays = handsOff.some((key) => current.metadata.annotations?.[key] === 'false')
  if (stays || owned.every((field) => equalJson(current[field], object[field]))) return
  const wanted: ApiObject = { ...current }
  for (const field of owned) wanted[field] = object[field]
  await call(server, 'PUT', path, wanted)
}
