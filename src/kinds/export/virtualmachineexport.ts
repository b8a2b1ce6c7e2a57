// VirtualMachineExport: the disks of a machine that is off, of a snapshot, or of a claim, offered for download for some
// time to whoever has its token (KubeVirt 1.9, pkg/storage/admitters/vmexport.go).

import type { FieldError } from '../../api/errors.ts'
import { defineKind, type KindDefinition } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { parseDuration } from '../../api/time.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

/** What may be exported: its group, and how upstream speaks of it. */
const sources: Record<string, { group: string; name: string; what: string }> = {
  PersistentVolumeClaim: { group: '', name: 'PVC', what: 'PVC API group must be missing or blank' },
  VirtualMachine: { group: 'kubevirt.io', name: 'Virtual Machine', what: 'VM API group must be kubevirt.io' },
  VirtualMachineSnapshot: {
    group: 'snapshot.kubevirt.io',
    name: 'VMSnapshot',
    what: 'VMSnapshot API group must be snapshot.kubevirt.io',
  },
}

function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  if (old) return equalJson(spec, old.spec) ? [] : [invalidValue('spec', spec, 'spec in immutable after creation')]
  const errors: FieldError[] = []
  const { kind, name, apiGroup } = spec?.source ?? {}
  const source = Object.hasOwn(sources, kind ?? '') ? sources[kind] : undefined
  if (!source) errors.push(invalidValue('spec.source.kind', kind ?? '', 'invalid kind'))
  else {
    if (!name) errors.push(invalidValue('spec.source.name', '', `${source.name} name must not be empty`))
    if ((apiGroup ?? '') !== source.group)
      errors.push(invalidValue('spec.source.APIGroup', apiGroup ?? '', source.what))
  }
  const ttl = spec?.ttlDuration
  const ms = ttl === undefined ? undefined : parseDuration(ttl)
  if (ttl !== undefined && (ms === undefined || ms < 0))
    errors.push(invalidValue('spec.ttlDuration', ttl, 'must be a duration such as 2h0m0s'))
  return errors
}

const common = {
  group: 'export.kubevirt.io',
  kind: 'VirtualMachineExport',
  plural: 'virtualmachineexports',
  singular: 'virtualmachineexport',
  shortNames: ['vmexport', 'vmexports'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachineExport'),
  types,
  subresources: { status: true },
  columns: [
    text('SourceKind', ({ spec }) => spec?.source?.kind ?? ''),
    text('SourceName', ({ spec }) => spec?.source?.name ?? ''),
    text('Phase', ({ status }) => status?.phase ?? ''),
  ],
  prepareCreate(object: ApiObject) {
    delete object.status
  },
  validate,
} satisfies Partial<KindDefinition>

const example = (version: string): ApiObject => ({
  apiVersion: `export.kubevirt.io/${version}`,
  kind: 'VirtualMachineExport',
  metadata: { name: 'db', namespace: 'default' },
  spec: {
    source: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'db' },
    tokenSecretRef: 'db-export-token',
    ttlDuration: '4h',
  },
})

export const virtualMachineExport = defineKind({ ...common, version: 'v1', example: example('v1') })

const as = (version: string) => (object: ApiObject) => ({ ...object, apiVersion: `export.kubevirt.io/${version}` })

export const virtualMachineExportV1beta1 = defineKind({
  ...common,
  version: 'v1beta1',
  storedAs: { group: 'export.kubevirt.io', version: 'v1', toStored: as('v1'), fromStored: as('v1beta1') },
  deprecation: 'export.kubevirt.io/v1beta1 VirtualMachineExport is deprecated; use export.kubevirt.io/v1',
  example: example('v1beta1'),
})
