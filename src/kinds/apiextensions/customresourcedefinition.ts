// CustomResourceDefinition: a kind that somebody brings. What it defines is served by src/server/custom.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { schemaOf, types } from '../types.ts'
import { validateDefinition } from './definition-rules.ts'
import { knownFormat } from './formats.ts'
import { itemsOf, type JsonSchema, someSchema } from './json-schema.ts'

/** Holds the definition until all its objects are gone. */
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io'

/** pkg/apis/apiextensions/v1/defaults.go (1.36). */
function defaults(definition: ApiObject): void {
  const { spec } = definition
  if (!spec) return
  spec.names ??= {}
  if (!spec.names.singular && spec.names.kind) spec.names.singular = spec.names.kind.toLowerCase()
  if (!spec.names.listKind && spec.names.kind) spec.names.listKind = `${spec.names.kind}List`
  spec.conversion ??= { strategy: 'None' }
  const service = spec.conversion.webhook?.clientConfig?.service
  if (service) service.port ??= 443
  definition.status ??= {}
  definition.status.conditions ??= []
  definition.status.acceptedNames ??= { plural: '', kind: '' }
  definition.status.storedVersions ??= []
  noteStorage(definition)
}

/** A version that objects are stored in from now on is remembered until somebody has migrated them. */
function noteStorage({ spec, status }: ApiObject): void {
  const storage = spec.versions?.find((version: { storage?: boolean }) => version.storage)
  if (storage?.name && !status.storedVersions.includes(storage.name))
    status.storedVersions = [...status.storedVersions, storage.name]
}

const schemas = (definition: ApiObject | undefined): JsonSchema[] =>
  (definition?.spec?.versions ?? []).flatMap((version: any) => version.schema?.openAPIV3Schema ?? [])

function oddities(definition: ApiObject | undefined): string[] {
  const found = new Set<string>()
  for (const schema of schemas(definition))
    someSchema(schema, (one) => {
      if (one.format && !knownFormat(one.format, one.type))
        found.add(`unrecognized format ${JSON.stringify(one.format)}`)
      const type = one['x-kubernetes-list-type'] === 'set' ? itemsOf(one)?.type : undefined
      if (type === 'object' || type === 'array')
        found.add(
          `x-kubernetes-list-type: set for items of type "${type}" is not supported by server-side apply or CEL validation rules`,
        )
      return false
    })
  return [...found]
}

function warnings(definition: ApiObject, old?: ApiObject): string[] {
  const before = oddities(old)
  return oddities(definition).filter((text) => !before.includes(text))
}

export const customResourceDefinition = defineKind({
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  singular: 'customresourcedefinition',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  scope: 'Cluster',
  schema: schemaOf('apiextensions.v1.CustomResourceDefinition'),
  types,
  subresources: { status: true },
  columns: [{ name: 'Created At', type: 'string', value: (object) => object.metadata.creationTimestamp ?? '' }],
  defaults,
  validate: validateDefinition,
  warnings,
  leaving(definition, now) {
    const condition = {
      type: 'Terminating',
      status: 'True',
      lastTransitionTime: now,
      reason: 'InstanceDeletionPending',
      message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
    }
    const { conditions = [] } = definition.status ?? {}
    definition.status = {
      ...definition.status,
      conditions: [...conditions.filter((one: { type: string }) => one.type !== 'Terminating'), condition],
    }
  },
  deleteFinalizers: [cleanupFinalizer],
  example: {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'fleets.tandem.example' },
    spec: {
      group: 'tandem.example',
      scope: 'Namespaced',
      names: { plural: 'fleets', singular: 'fleet', kind: 'Fleet', listKind: 'FleetList' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
        },
      ],
    },
  },
})
