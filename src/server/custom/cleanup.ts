// The end of a CustomResourceDefinition: its objects are deleted first, by the same rules as everybody's
// (apiextensions pkg/controller/finalizer/crd_finalizer.go, 1.36).

import { isApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { DefinitionCondition } from '../../kinds/apiextensions/conditions.ts'
import { systemUser } from '../auth/authn.ts'
import type { Call, Engine } from '../call.ts'
import type { Resource } from '../registry.ts'
import { deleteObject } from '../verbs/delete.ts'

type Note = Omit<DefinitionCondition, 'type'>

const pause = { first: 20, most: 1000 }

/** Resolves with what to say when all are gone; undefined when the server stopped before. @throws ApiError */
export async function deleteInstances(
  engine: Engine,
  definition: StoredObject,
  resource: Resource | undefined,
  report: (note: Note, done: boolean) => Promise<void>,
  stop: AbortSignal,
): Promise<Note | undefined> {
  if (!resource) return notServed(engine, definition)
  await report(
    { status: 'True', reason: 'InstanceDeletionInProgress', message: 'CustomResource deletion is in progress' },
    false,
  )
  const { objects } = engine
  for (let wait = pause.first; ; wait = Math.min(wait * 2, pause.most)) {
    for (const { object } of objects.list(resource, '')) {
      if (object.metadata.deletionTimestamp) continue
      await deleteOne(engine, resource, object)
    }
    if (objects.count(resource, '') === 0) break
    await new Promise((resolve) => setTimeout(resolve, wait).unref())
    if (stop.aborted) return undefined
  }
  return { status: 'False', reason: 'InstanceDeletionCompleted', message: 'removed all instances' }
}

function notServed(engine: Engine, definition: StoredObject): Note {
  const { group, names } = definition.spec
  if (engine.registry.preferred(group, names.plural))
    return {
      status: 'False',
      reason: 'OverlappingBuiltInResource',
      message: 'instances overlap with built-in resources in storage',
    }
  return { status: 'False', reason: 'NeverEstablished', message: 'resource was never established' }
}

async function deleteOne(engine: Engine, resource: Resource, object: StoredObject): Promise<void> {
  const { name, namespace = '' } = object.metadata
  const { group, version, plural } = resource
  const call: Call = {
    engine,
    resource,
    user: systemUser,
    warnings: [],
    request: { method: 'DELETE', path: '', query: new URLSearchParams(), headers: {} },
    info: {
      ...{ isResource: true, verb: 'delete', path: '', group, version, resource: plural, subresource: '' },
      ...{ rest: [], namespace, name },
    },
  }
  const { objects } = engine
  try {
    await objects.exclusively(objects.key(resource, namespace, name), async () => {
      const current = objects.get(resource, namespace, name)
      if (current) await deleteObject(call, current, { dryRun: false })
    })
  } catch (error) {
    if (!isApiError(error, 'NotFound') && !isApiError(error, 'Conflict')) throw error
  }
}
