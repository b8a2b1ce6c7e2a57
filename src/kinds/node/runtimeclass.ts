// RuntimeClass: how strongly a Pod is isolated (runc, gVisor …).

import { defineKind } from '../../api/kind.ts'
import { dnsLabelProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { text } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { checkName } from '../rules/names.ts'
import { schemaOf, types } from '../types.ts'
import { readinessOf, reasonOf } from './runtime-readiness.ts'

export const runtimeClass = defineKind({
  group: 'node.k8s.io',
  version: 'v1',
  kind: 'RuntimeClass',
  plural: 'runtimeclasses',
  singular: 'runtimeclass',
  scope: 'Cluster',
  schema: schemaOf('node.v1.RuntimeClass'),
  types,
  columns: [
    text('Handler', (object) => object.handler ?? ''),
    text('Ready', readinessOf),
    text('Reason', reasonOf),
    ageColumn,
  ],
  validate: (object, old) => [
    ...checkName('handler', object.handler, dnsLabelProblems),
    ...(old ? immutable('handler', object.handler, old.handler) : []),
  ],
  example: { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name: 'gvisor' }, handler: 'runsc' },
})
