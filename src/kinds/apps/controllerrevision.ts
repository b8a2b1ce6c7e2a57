// ControllerRevision: one state of a StatefulSet's or DaemonSet's template, kept so that it can be gone back to.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import { type ApiObject, controllerOf, parseGroupVersion } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { requiredValue } from '../../api/walk/rules.ts'
import { none, text } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { validateCount } from '../rules/share.ts'
import { schemaOf, types } from '../types.ts'

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const errors = validateCount('revision', object.revision)
  if (old) return [...errors, ...immutable('data', object.data, old.data)]
  return object.data === undefined ? [...errors, requiredValue('data', 'data is mandatory')] : errors
}

/** 'statefulset.apps/web' */
function controllerText(object: ApiObject): string {
  const owner = controllerOf(object)
  if (!owner) return none
  const { group } = parseGroupVersion(owner.apiVersion)
  return `${[owner.kind.toLowerCase(), group].filter(Boolean).join('.')}/${owner.name}`
}

export const controllerRevision = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  singular: 'controllerrevision',
  scope: 'Namespaced',
  schema: schemaOf('apps.v1.ControllerRevision'),
  types,
  hasGeneration: false,
  columns: [text('Controller', controllerText), text('Revision', (object) => String(object.revision ?? 0)), ageColumn],
  validate,
  example: {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name: 'db-7d4', namespace: 'default' },
    revision: 1,
    data: { spec: { template: { metadata: { labels: { app: 'db' } } } } },
  },
})
