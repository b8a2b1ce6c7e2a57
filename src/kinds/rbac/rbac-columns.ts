// Columns of roles and bindings (pkg/printers/internalversion, Kubernetes 1.36).

import type { Column } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { text } from '../columns.ts'

export const roleColumns: Column[] = [text('Created At', (object) => object.metadata.creationTimestamp ?? '<unknown>')]

const named = (kind: string) => (object: ApiObject) =>
  (object.subjects ?? [])
    .filter((subject: any) => subject.kind === kind)
    .map((subject: any) => (kind === 'ServiceAccount' ? `${subject.namespace}/${subject.name}` : subject.name))
    .join(', ')

export const bindingColumns: Column[] = [
  text('Role', ({ roleRef }) => (roleRef ? `${roleRef.kind}/${roleRef.name}` : '')),
  ageColumn,
  text('Users', named('User'), 1),
  text('Groups', named('Group'), 1),
  text('ServiceAccounts', named('ServiceAccount'), 1),
]
