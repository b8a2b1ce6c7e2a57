// Definitions for tests, and a wait until they are served.

import type { ApiResponse } from '../../api/exchange.ts'
import type { TestServer } from '../server.fixture.ts'

export const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

type Json = Record<string, any>

export interface DefinitionOptions {
  group?: string
  kind?: string
  plural?: string
  scope?: 'Namespaced' | 'Cluster'
  schema?: Json
  versions?: Json[]
  spec?: Json
}

export const versionOf = (name: string, schema: Json, more: Json = {}): Json => ({
  name,
  served: true,
  storage: false,
  schema: { openAPIV3Schema: { type: 'object', ...schema } },
  ...more,
})

export function definition(options: DefinitionOptions = {}): Json {
  const { group = 'example.com', kind = 'Foo', scope = 'Namespaced', schema = {} } = options
  const plural = options.plural ?? `${kind.toLowerCase()}s`
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope,
      names: { plural, kind },
      versions: options.versions ?? [versionOf('v1', schema, { storage: true })],
      ...options.spec,
    },
  }
}

/** Creates a definition and waits for its condition by watching. */
export async function define(server: TestServer, object: Json, condition = 'Established'): Promise<Json> {
  const made = await server.ok('POST', definitions, object)
  return until(server, made.metadata.name, (one) =>
    one.status.conditions.some((each: Json) => each.type === condition && each.status === 'True'),
  )
}

export async function until(server: TestServer, name: string, holds: (object: Json) => boolean): Promise<Json> {
  const watch: ApiResponse = await server.call('GET', `${definitions}?watch=1&fieldSelector=metadata.name=${name}`)
  for await (const event of watch.events!) if (holds(event.object)) return event.object
  throw new Error('the watch ended')
}

/** Deletes a definition; resolves with the answer when it is gone. `meanwhile` runs after the delete. */
export async function undefine(
  server: TestServer,
  name: string,
  meanwhile?: (answer: Json) => Promise<void>,
): Promise<void> {
  const watch: ApiResponse = await server.call('GET', `${definitions}?watch=1&fieldSelector=metadata.name=${name}`)
  const answer = await server.ok('DELETE', `${definitions}/${name}`)
  await meanwhile?.(answer)
  for await (const event of watch.events!) if (event.type === 'DELETED') return
}
