// CSIDriver: what a storage driver can do and wants.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { duplicateValue, invalidValue, notSupported } from '../../api/walk/rules.ts'
import { none, text, unset } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { storedOnly } from '../rules/warnings.ts'
import { schemaOf, types } from '../types.ts'
import { noDriver } from './driver-rules.ts'

function defaults(object: ApiObject): void {
  object.spec ??= {}
  const { spec } = object
  spec.attachRequired ??= true
  spec.podInfoOnMount ??= false
  spec.storageCapacity ??= false
  spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType'
  spec.requiresRepublish ??= false
  spec.seLinuxMount ??= false
  if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent']
}

const policies = ['File', 'None', 'ReadWriteOnceWithFSType']
const modes = ['Persistent', 'Ephemeral']

function validateTokens(requests: any[]): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  requests.forEach((request, index) => {
    const path = `spec.tokenRequests[${index}]`
    const audience = request?.audience ?? ''
    if (seen.has(audience)) {
      errors.push(duplicateValue(`${path}.audience`, audience))
      return
    }
    seen.add(audience)
    const seconds = request?.expirationSeconds
    if (seconds === undefined) return
    const say = (problem: string) => errors.push(invalidValue(`${path}.expirationSeconds`, seconds, problem))
    if (seconds < 600) say('may not specify a duration less than 10 minutes')
    if (seconds > 2 ** 32) say('may not specify a duration larger than 2^32 seconds')
  })
  return errors
}

function validate({ spec = {} }: ApiObject, old?: ApiObject): FieldError[] {
  const errors = validateTokens(Array.isArray(spec.tokenRequests) ? spec.tokenRequests : [])
  if (!policies.includes(spec.fsGroupPolicy))
    errors.push(notSupported('spec.fsGroupPolicy', spec.fsGroupPolicy, policies))
  for (const mode of spec.volumeLifecycleModes ?? [])
    if (!modes.includes(mode)) errors.push(notSupported('spec.volumeLifecycleModes', mode, modes))
  const period = spec.nodeAllocatableUpdatePeriodSeconds
  if (period !== undefined && period < 10)
    errors.push(
      invalidValue('spec.nodeAllocatableUpdatePeriodSeconds', period, 'must be greater than or equal to 10 seconds'),
    )
  if (spec.serviceAccountTokenInSecrets !== undefined && !spec.tokenRequests?.length)
    errors.push(
      invalidValue(
        'spec.serviceAccountTokenInSecrets',
        spec.serviceAccountTokenInSecrets,
        'serviceAccountTokenInSecrets is set but no tokenRequests are specified',
      ),
    )
  if (!old) return errors
  return [
    ...errors,
    ...immutable('spec.attachedRequired', spec.attachRequired, old.spec?.attachRequired),
    ...immutable('spec.volumeLifecycleModes', spec.volumeLifecycleModes, old.spec?.volumeLifecycleModes),
  ]
}

export const csiDriver = defineKind({
  group: 'storage.k8s.io',
  version: 'v1',
  kind: 'CSIDriver',
  plural: 'csidrivers',
  singular: 'csidriver',
  scope: 'Cluster',
  schema: schemaOf('storage.v1.CSIDriver'),
  types,
  hasGeneration: true,
  columns: [
    { name: 'AttachRequired', type: 'boolean', value: ({ spec }) => spec?.attachRequired ?? true },
    { name: 'PodInfoOnMount', type: 'boolean', value: ({ spec }) => spec?.podInfoOnMount ?? false },
    { name: 'StorageCapacity', type: 'boolean', value: ({ spec }) => spec?.storageCapacity ?? false },
    text('TokenRequests', ({ spec }) =>
      spec?.tokenRequests ? spec.tokenRequests.map((request: any) => request.audience).join(',') : unset,
    ),
    { name: 'RequiresRepublish', type: 'boolean', value: ({ spec }) => spec?.requiresRepublish ?? false },
    text('Modes', ({ spec }) => (spec?.volumeLifecycleModes ?? []).join(',') || none),
    ageColumn,
  ],
  defaults,
  validate,
  warnings: storedOnly('CSIDriver', noDriver),
  example: {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'CSIDriver',
    metadata: { name: 'disks.example.com' },
    spec: { attachRequired: false },
  },
})
