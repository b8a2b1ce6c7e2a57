// Which custom resources are in the registry, and how they got there.

import type { KindDefinition } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { type AcceptedNames, customKind } from '../../kinds/apiextensions/custom-kind.ts'
import type { AskWebhook } from '../admission/webhooks/dispatch.ts'
import { type Registry, type Resource, resourceFor } from '../registry.ts'
import { webhookConversion } from './conversion-webhook.ts'
import { createForm, type FormOptions, rawForm } from './form.ts'

interface Served {
  definition: ApiObject
  /** In the registry: the versions that are served. */
  versions: string[]
  /** For the end of the definition: its objects as they are stored, whether they are served or not. */
  storage: Resource
  options: FormOptions
  gone: AbortController
}

export interface Serving {
  has(name: string): boolean
  /** Puts the definition's kinds into the registry as they are now. */
  serve(definition: ApiObject): void
  end(name: string): void
  storageResource(name: string): Resource | undefined
}

export function createServing(registry: Registry, ask: AskWebhook): Serving {
  const served = new Map<string, Served>()

  /** The group and plural of a kind that is part of Tandem: a definition of the same name changes nothing. */
  const isBuiltIn = (group: string, plural: string): boolean => {
    const resource = registry.preferred(group, plural)
    return resource !== undefined && resource.form === undefined
  }

  function serve(definition: ApiObject): void {
    const { group } = definition.spec
    const names: AcceptedNames = definition.status.acceptedNames
    const name = definition.metadata.name!
    const before = served.get(name)
    if (!names.plural || isBuiltIn(group, names.plural)) return
    if (before && sameService(before.definition, definition)) {
      before.options.terminating = definition.metadata.deletionTimestamp !== undefined
      return
    }
    const gone = new AbortController()
    const kinds = new Map<string, KindDefinition>()
    for (const version of definition.spec.versions) kinds.set(version.name, customKind(definition, version.name, names))
    const { conversion, versions } = definition.spec
    const storage: string = versions.find((version: { storage: boolean }) => version.storage).name
    const convert = conversion?.strategy === 'Webhook' ? webhookConversion(conversion.webhook ?? {}, ask) : undefined
    const terminating = definition.metadata.deletionTimestamp !== undefined
    const options: FormOptions = { kinds, storage, convert, gone: gone.signal, terminating }
    const current: string[] = []
    for (const version of versions) {
      if (!version.served) continue
      registry.add(kinds.get(version.name)!, createForm(version.name, options))
      current.push(version.name)
    }
    for (const version of before?.versions ?? [])
      if (!current.includes(version)) registry.remove(group, version, names.plural)
    const own = resourceFor(kinds.get(storage)!, rawForm(options))
    served.set(name, { definition, versions: current, storage: own, options, gone })
    before?.gone.abort()
  }

  return {
    has: (name) => served.has(name),
    serve,
    end(name) {
      const entry = served.get(name)
      if (!entry) return
      served.delete(name)
      for (const version of entry.versions) registry.remove(entry.storage.group, version, entry.storage.plural)
      entry.gone.abort()
    },
    storageResource: (name) => served.get(name)?.storage,
  }
}

/** Nothing changed that what is served depends on. */
const sameService = (before: ApiObject, after: ApiObject): boolean =>
  before.metadata.uid === after.metadata.uid &&
  equalJson(before.spec, after.spec) &&
  equalJson(before.status.acceptedNames, after.status.acceptedNames)
