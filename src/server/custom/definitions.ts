// CustomResourceDefinitions at work: what they define is in the registry from the moment they say that they are
// established, follows their changes, and goes with them.

import { ApiError, type Status } from '../../api/errors.ts'
import type { ApiRequest, ApiResponse } from '../../api/exchange.ts'
import type { ApiObject, StoredObject } from '../../api/meta.ts'
import { formatTime } from '../../api/time.ts'
import { equalJson } from '../../api/walk/plain.ts'
import type { Logger } from '../../base/log.ts'
import { conditionIs, type DefinitionCondition, withCondition } from '../../kinds/apiextensions/conditions.ts'
import { cleanupFinalizer } from '../../kinds/apiextensions/customresourcedefinition.ts'
import { definitionStatus } from '../../kinds/apiextensions/definition-status.ts'
import type { AskWebhook } from '../admission/webhooks/dispatch.ts'
import { systemUser } from '../auth/authn.ts'
import type { Engine } from '../call.ts'
import { type Change, objectModified } from '../objects.ts'
import { deleteInstances } from './cleanup.ts'
import { createServing } from './serving.ts'

const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

export interface DefinitionTools {
  engine: Engine
  handle(request: ApiRequest): Promise<ApiResponse>
  ask: AskWebhook
  log: Logger
}

export interface Definitions {
  /** Serves what the store knows; follows what happens from now on. */
  start(): void
  stop(): void
}

export function createDefinitions({ engine, handle, ask, log }: DefinitionTools): Definitions {
  const { objects, registry, now } = engine
  const resource = registry.find('apiextensions.k8s.io', 'v1', 'customresourcedefinitions')
  const serving = createServing(registry, ask)
  const stopping = new AbortController()
  /** The newest state by name: the store's, or what was just written. */
  const known = new Map<string, StoredObject>()
  const waiting = new Set<string>()
  const cleaning = new Set<string>()
  let running = false

  const ofGroup = (group: string, except: string): StoredObject[] =>
    [...known.values()].filter((one) => one.spec.group === group && one.metadata.name !== except)

  function enqueue(name: string): void {
    waiting.add(name)
    if (!running) void work()
  }

  /** One at a time: who gets a name is decided in order. */
  async function work(): Promise<void> {
    running = true
    for (const name of waiting) {
      waiting.delete(name)
      const definition = known.get(name)
      if (!definition || stopping.signal.aborted) continue
      try {
        await settle(definition)
      } catch (error) {
        log.error('a CustomResourceDefinition could not be settled', { name, error })
        setTimeout(() => enqueue(name), 1000).unref()
      }
    }
    running = false
  }

  async function settle(definition: StoredObject): Promise<void> {
    const { name, deletionTimestamp, finalizers } = definition.metadata
    const status = definitionStatus(definition, ofGroup(definition.spec.group, name), formatTime(now()))
    const next = { ...definition, status }
    // Served before it says so: who reads "Established" may create at once.
    if (conditionIs(next, 'Established', 'True') || serving.has(name)) serving.serve(next)
    if (!equalJson(status, definition.status ?? {})) await writeStatus(next)
    else if (deletionTimestamp && finalizers?.includes(cleanupFinalizer) && !cleaning.has(name))
      void cleanUp(definition)
  }

  /** False when somebody else was faster: their change comes by itself. */
  async function writeStatus(definition: ApiObject): Promise<boolean> {
    const response = await handle({
      method: 'PUT',
      path: `${path}/${definition.metadata.name}/status`,
      query: new URLSearchParams(),
      headers: { 'user-agent': 'kube-apiserver' },
      user: systemUser,
      body: definition,
    })
    if (response.status < 300) {
      const written = response.object as StoredObject
      if (known.has(written.metadata.name)) known.set(written.metadata.name, written)
      return true
    }
    const error = ApiError.fromStatus(response.object as Status)
    const raced = error.reason === 'Conflict' && error.message.includes(objectModified)
    if (raced || error.reason === 'NotFound') return false
    throw error
  }

  /** Removes all objects of a definition that is being deleted, then lets go of it. */
  async function cleanUp(definition: StoredObject): Promise<void> {
    const { name } = definition.metadata
    cleaning.add(name)
    const report = async (condition: Omit<DefinitionCondition, 'type'>, done: boolean): Promise<void> => {
      for (let tries = 0; tries < 5; tries++) {
        const current = known.get(name)
        if (!current) return
        const conditions = withCondition(
          current.status.conditions,
          { type: 'Terminating', ...condition },
          formatTime(now()),
        )
        const finalizers = (current.metadata.finalizers ?? []).filter((one) => !done || one !== cleanupFinalizer)
        const next = {
          ...current,
          metadata: { ...current.metadata, finalizers },
          status: { ...current.status, conditions },
        }
        if (await writeStatus(next)) return
      }
    }
    try {
      const whatHappened = await deleteInstances(
        engine,
        definition,
        serving.storageResource(name),
        report,
        stopping.signal,
      )
      if (whatHappened) await report(whatHappened, true)
    } catch (error) {
      log.warn('objects of a CustomResourceDefinition could not be deleted yet', { name, error })
      setTimeout(() => enqueue(name), 1000).unref()
    } finally {
      cleaning.delete(name)
    }
  }

  function follow(changes: Change[]): void {
    for (const { type, object, previous } of changes) {
      const { name } = object.metadata
      if (type === 'delete') {
        known.delete(name)
        serving.end(name)
      } else {
        known.set(name, object)
        enqueue(name)
      }
      // A name may have become free.
      const before = previous?.status?.acceptedNames
      if (before && (type === 'delete' || !equalJson(before, object.status?.acceptedNames)))
        for (const other of ofGroup(object.spec.group, name))
          if (!conditionIs(other, 'NamesAccepted', 'True')) enqueue(other.metadata.name)
    }
  }

  return {
    start() {
      if (!resource) return
      const after = objects.store.revision()
      for (const { object } of objects.list(resource, '')) known.set(object.metadata.name, object)
      for (const definition of known.values())
        if (conditionIs(definition, 'Established', 'True')) serving.serve(definition)
      const watch = objects.watch(resource, '', after, follow)
      stopping.signal.addEventListener('abort', () => watch.close(), { once: true })
      for (const name of known.keys()) enqueue(name)
    },
    stop: () => stopping.abort(),
  }
}
