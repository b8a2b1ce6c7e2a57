// Fetches from the API what a container's environment names: ConfigMaps, Secrets, Services.

import type { Service } from 'kubernetes-types/core/v1.js'
import { isApiError } from '../../api/errors.ts'
import type { ResourceRef, StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import { type EnvSources, envReferences } from './env.ts'
import type { NodeFacts } from './field-values.ts'
import type { AnyContainer, PodObject } from './pod.ts'

const core = (resource: string): ResourceRef => ({ group: '', version: 'v1', resource })
const services = core('services')

/** A ConfigMap or Secret. */
export interface DataObject extends StoredObject {
  data?: Record<string, string>
}

/** Undefined when it does not exist. */
export async function find(
  client: Client,
  ref: ResourceRef,
  name: string,
  namespace?: string,
): Promise<DataObject | undefined> {
  try {
    return await client.get<DataObject>(ref, name, namespace)
  } catch (error) {
    if (isApiError(error, 'NotFound')) return undefined
    throw error
  }
}

export const findSecret = (client: Client, name: string, namespace?: string) =>
  find(client, core('secrets'), name, namespace)

async function byName(client: Client, ref: ResourceRef, names: string[], namespace?: string) {
  const found = await Promise.all(names.map((name) => find(client, ref, name, namespace)))
  return new Map(names.map((name, index) => [name, found[index]] as const))
}

export async function envSources(
  client: Client,
  pod: PodObject,
  container: AnyContainer,
  node: NodeFacts,
  podIPs: string[],
): Promise<EnvSources> {
  const { namespace } = pod.metadata
  const names = envReferences(container)
  const links = pod.spec.enableServiceLinks !== false
  const [configMaps, secrets, own, api] = await Promise.all([
    byName(client, core('configmaps'), names.configMaps, namespace),
    byName(client, core('secrets'), names.secrets, namespace),
    links ? client.list(services, { namespace }) : undefined,
    namespace === 'default' && links ? undefined : find(client, services, 'kubernetes', 'default'),
  ])
  return {
    configMaps,
    secrets,
    services: [...(own?.items ?? []), ...(api ? [api] : [])] as unknown as Service[],
    node,
    podIPs,
  }
}
