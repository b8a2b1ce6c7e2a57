// VirtualMachineInstanceMigration: moves a running instance to another QEMU, once. On one machine that is a QEMU beside the
// former. Rules and texts: KubeVirt 1.9 (pkg/virt-api/webhooks, migration-create-admitter.go, migration-update-admitter.go).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

/** Names the instance, for who looks for its migrations (virtctl migrate-cancel). */
export const migrationLabel = 'kubevirt.io/vmi-name'
/** Keeps a migration until its instance is as it will be. */
export const migrationFinalizer = 'kubevirt.io/migrationJobFinalize'

export const isMigrationOver = (migration: ApiObject): boolean =>
  ['Succeeded', 'Failed'].includes(migration.status?.phase)

const decentralized = 'DecentralizedLiveMigration feature gate is not enabled in kubevirt resource'

function validate(migration: ApiObject, old?: ApiObject): FieldError[] {
  if (old) return validateUpdate(migration, old)
  const { spec } = migration
  const errors: FieldError[] = []
  if (!spec?.vmiName) errors.push(requiredValue('spec.vmiName', 'vmiName is missing'))
  if (spec?.priority !== undefined)
    errors.push(
      forbidden(
        'spec.migrationPriority',
        'Migration priority queue, only virt-controller is allowed to set priority field',
      ),
    )
  for (const side of ['sendTo', 'receive']) if (spec?.[side]) errors.push(forbidden(`spec.${side}`, decentralized))
  return errors
}

function validateUpdate(migration: ApiObject, old: ApiObject): FieldError[] {
  if (!equalJson(migration.spec, old.spec))
    return [forbidden('spec', "update of Migration object's spec is restricted")]
  const before = old.metadata.labels?.[migrationLabel]
  if (isMigrationOver(migration) || before === undefined) return []
  const after = migration.metadata.labels?.[migrationLabel]
  if (after === before) return []
  const what = migration.metadata.labels ? 'modified on' : 'removed from'
  return [forbidden('metadata.labels', `selector label can't be ${what} an in-flight migration`)]
}

export const virtualMachineInstanceMigration = defineKind({
  group: 'kubevirt.io',
  version: 'v1',
  kind: 'VirtualMachineInstanceMigration',
  plural: 'virtualmachineinstancemigrations',
  singular: 'virtualmachineinstancemigration',
  shortNames: ['vmim', 'vmims'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1.VirtualMachineInstanceMigration'),
  types,
  subresources: { status: true },
  columns: [text('Phase', (object) => object.status?.phase ?? ''), text('VMI', (object) => object.spec?.vmiName ?? '')],
  prepareCreate(object) {
    delete object.status
    const { metadata, spec } = object
    if (spec?.vmiName) metadata.labels = { ...metadata.labels, [migrationLabel]: spec.vmiName }
    const others = (metadata.finalizers ?? []).filter((one) => one !== migrationFinalizer)
    metadata.finalizers = [...others, migrationFinalizer]
  },
  validate,
  example: {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstanceMigration',
    metadata: { name: 'migration-job', namespace: 'default' },
    spec: { vmiName: 'db' },
  },
})
