// VirtualMachine: a virtual machine that is kept, whether it runs or not.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { validateLabels } from '../../api/validate-meta.ts'
import { forbidden, invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { defaultTemplate, identify } from './instance-defaults.ts'
import { validateInstanceSpec } from './instance-rules.ts'

const bothText =
  'Running and RunStrategy are mutually exclusive. Note that Running is deprecated, please use RunStrategy instead'
const neitherText = 'RunStrategy must be specified'

const unsupported: Record<string, string> = {
  dataVolumeTemplates: 'DataVolumes are not supported here; make a PersistentVolumeClaim and name it in a volume',
  instancetype: 'instance types are not supported here; write cpu and memory in spec.template.spec.domain',
  preference: 'preferences are not supported here; write the devices in spec.template.spec.domain',
  updateVolumesStrategy: 'volumes are replaced at the next start only',
}

function validate({ spec }: ApiObject): FieldError[] {
  if (!spec) return [requiredValue('spec')]
  const errors: FieldError[] = []
  if (spec.running !== undefined && spec.runStrategy) errors.push(invalidValue('spec.running', spec.running, bothText))
  if (spec.running === undefined && !spec.runStrategy) errors.push(requiredValue('spec.runStrategy', neitherText))
  if (spec.runStrategy === 'WaitAsReceiver')
    errors.push(forbidden('spec.runStrategy', 'live migration is not supported here'))
  for (const [name, reason] of Object.entries(unsupported)) {
    const value = spec[name]
    if (value !== undefined && !(Array.isArray(value) && !value.length)) errors.push(forbidden(`spec.${name}`, reason))
  }
  if (!spec.template) return errors
  return [
    ...errors,
    ...validateLabels(spec.template.metadata?.labels, 'spec.template.metadata.labels'),
    ...validateInstanceSpec(spec.template.spec, 'spec.template.spec'),
  ]
}

const ready = (object: ApiObject) =>
  (object.status?.conditions ?? []).find((entry: any) => entry.type === 'Ready')?.status ?? ''

export const virtualMachine = defineKind({
  group: 'kubevirt.io',
  version: 'v1',
  kind: 'VirtualMachine',
  plural: 'virtualmachines',
  singular: 'virtualmachine',
  shortNames: ['vm', 'vms'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1.VirtualMachine'),
  types,
  subresources: { status: true },
  columns: [ageColumn, text('Status', (object) => object.status?.printableStatus ?? ''), text('Ready', ready)],
  defaults: (object) => defaultTemplate(object.spec?.template?.spec),
  prepareCreate(object) {
    delete object.status
    identify(object.spec?.template?.spec)
  },
  prepareUpdate: (object, old) => identify(object.spec?.template?.spec, old.spec?.template?.spec),
  validate,
  warnings: ({ spec }) =>
    spec?.running === undefined ? [] : ['spec.running is deprecated, please use spec.runStrategy instead.'],
  example: {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachine',
    metadata: { name: 'db', namespace: 'default' },
    spec: {
      runStrategy: 'Always',
      template: {
        metadata: { labels: { app: 'db' } },
        spec: {
          domain: {
            cpu: { cores: 2 },
            memory: { guest: '512Mi' },
            devices: {
              disks: [{ name: 'root', disk: { bus: 'virtio' } }, { name: 'seed' }],
              interfaces: [{ name: 'default', masquerade: {} }],
            },
          },
          networks: [{ name: 'default', pod: {} }],
          volumes: [
            { name: 'root', persistentVolumeClaim: { claimName: 'db' } },
            { name: 'seed', cloudInitNoCloud: { userData: '#cloud-config\nhostname: db\n' } },
          ],
        },
      },
    },
  },
})
