// Manifest files: read, applied (server-side), followed until they are what they should be.

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { type ApiObject, parseGroupVersion, type ResourceRef } from '../api/meta.ts'
import type { Client } from '../client/client.ts'
import { kinds } from '../kinds/index.ts'
import { CommandError } from './output.ts'

/** All objects of the *.yaml files of a folder, in the order of the files' names. */
export function readManifests(folder: string): ApiObject[] {
  return globSync('*.yaml', { cwd: folder })
    .sort()
    .flatMap((file) => parseAllDocuments(readFileSync(join(folder, file), 'utf8'), { version: '1.1' }))
    .map((document) => document.toJS() as ApiObject | null)
    .filter((object) => object !== null)
}

export function refOf(object: ApiObject): ResourceRef {
  const { group, version } = parseGroupVersion(object.apiVersion)
  const kind = kinds.find((kind) => kind.kind === object.kind && kind.group === group && kind.version === version)
  if (!kind) throw new CommandError(`Tandem does not serve ${object.kind} of ${object.apiVersion}`)
  return { group, version, resource: kind.plural }
}

/** Server-side apply; resolves with what the object is now. */
export async function apply(client: Client, object: ApiObject, fieldManager: string): Promise<ApiObject> {
  const { name = '', namespace = 'default' } = object.metadata
  return await client.patch(refOf(object), name, namespace, 'apply', object, { fieldManager, force: true })
}
