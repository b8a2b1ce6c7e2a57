// VirtualMachine: a virtual machine that is kept, whether it runs or not.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { validateLabels } from '../../api/validate-meta.ts'
import { forbidden, invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { kindIndex, type Matcher, matcherFields } from '../instancetype/matcher.ts'
import { schemaOf, types } from '../types.ts'
import { validateAnnotations } from './annotation-rules.ts'
import { dataVolumeTemplateWarnings, validateDataVolumeTemplates } from './data-volume-template-rules.ts'
import { defaultTemplate, identify } from './instance-defaults.ts'
import { validateInstanceSpec } from './instance-rules.ts'
import { validateHeld } from './snapshot-rules.ts'

const bothText =
  'Running and RunStrategy are mutually exclusive. Note that Running is deprecated, please use RunStrategy instead'
const neitherText = 'RunStrategy must be specified'

function validate({ spec, metadata }: ApiObject): FieldError[] {
  if (!spec) return [requiredValue('spec')]
  const errors: FieldError[] = []
  if (spec.running !== undefined && spec.runStrategy) errors.push(invalidValue('spec.running', spec.running, bothText))
  if (spec.running === undefined && !spec.runStrategy) errors.push(requiredValue('spec.runStrategy', neitherText))
  errors.push(...validateVolumesStrategy(spec.updateVolumesStrategy))
  errors.push(...validateMatchers(spec))
  errors.push(...validateDataVolumeTemplates(spec, metadata?.namespace))
  if (!spec.template) return errors
  // What the instance type brings is looked up when the machine is written and when it starts.
  const isWhole = !spec.instancetype && !spec.preference
  return [
    ...errors,
    ...validateLabels(spec.template.metadata?.labels, 'spec.template.metadata.labels'),
    ...validateAnnotations(spec.template.metadata, 'spec.template.metadata'),
    ...(isWhole ? validateInstanceSpec(spec.template.spec, 'spec.template.spec') : []),
  ]
}

/** Replacement: at the next start, as without it. */
function validateVolumesStrategy(strategy: unknown): FieldError[] {
  const field = 'spec.updateVolumesStrategy'
  if (strategy === undefined || strategy === 'Replacement') return []
  if (strategy === 'Migration') return [forbidden(field, 'volumes are replaced at the next start only')]
  return [notSupported(field, strategy as string, ['Migration', 'Replacement'])]
}

const failurePolicies = ['Reject', 'Ignore']

/** Texts: pkg/instancetype/webhooks/vm (KubeVirt 1.9). */
function validateMatchers(spec: any): FieldError[] {
  const errors: FieldError[] = []
  for (const field of matcherFields) {
    const matcher: Matcher | undefined = spec[field.field]
    const at = `spec.${field.field}`
    if (!matcher) continue
    const { name, inferFromVolume: volume, inferFromVolumeFailurePolicy: policy, kind } = matcher
    if (!name && !volume)
      errors.push(
        invalidValue(at, '', `Either Name or InferFromVolume should be provided within the ${field.kinds[1]}Matcher`),
      )
    if (name && volume)
      errors.push(
        invalidValue(`${at}.name`, name, 'Name should not be provided when InferFromVolume is used within the matcher'),
      )
    if (volume && kind)
      errors.push(
        invalidValue(`${at}.kind`, kind, 'Kind should not be provided when InferFromVolume is used within the matcher'),
      )
    if (kind && kindIndex(field, kind) === undefined)
      errors.push(invalidValue(`${at}.kind`, kind, `Kind must be one of ${field.kinds.join(', ')}`))
    if (policy && !failurePolicies.includes(policy))
      errors.push(notSupported(`${at}.inferFromVolumeFailurePolicy`, policy, failurePolicies))
    if (policy && !volume)
      errors.push(
        invalidValue(
          `${at}.inferFromVolumeFailurePolicy`,
          policy,
          'InferFromVolumeFailurePolicy should only be provided when InferFromVolume is used within the matcher',
        ),
      )
  }
  return errors
}

function defaults({ spec }: ApiObject): void {
  for (const field of matcherFields) {
    const matcher: Matcher | undefined = spec?.[field.field]
    if (matcher?.name) matcher.kind ||= field.kinds[0]
  }
  // A preference may prefer another machine.
  defaultTemplate(spec?.template?.spec, spec?.preference !== undefined)
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
  defaults,
  prepareCreate(object) {
    delete object.status
    identify(object.spec?.template?.spec)
  },
  prepareUpdate: (object, old) => identify(object.spec?.template?.spec, old.spec?.template?.spec),
  validate: (object, old) => [...validate(object), ...validateHeld(object, old)],
  warnings: ({ spec }) => [
    ...(spec?.running === undefined ? [] : ['spec.running is deprecated, please use spec.runStrategy instead.']),
    ...dataVolumeTemplateWarnings(spec),
  ],
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
