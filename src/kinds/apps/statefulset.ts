// StatefulSet: Pods with names, volumes and an order of their own.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsLabelProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, notSupported } from '../../api/walk/rules.ts'
import { templateColumns, text } from '../columns.ts'
import { defaultPodSpec } from '../core/pod-defaults.ts'
import { validateAccessModes, validateStorageAmount } from '../core/storage-rules.ts'
import { replicasScale } from '../replicas.ts'
import { isZeroShare, notMoreThanAll, validateCount, validateShare } from '../rules/share.ts'
import { schemaOf, types } from '../types.ts'
import { validateOwnSelector, validateTemplate } from './template-rules.ts'

function defaults({ spec }: ApiObject): void {
  if (!spec) return
  defaultPodSpec(spec.template?.spec)
  spec.updateStrategy ??= {}
  if (!spec.updateStrategy.type) {
    spec.updateStrategy.type = 'RollingUpdate'
    spec.updateStrategy.rollingUpdate ??= {}
  }
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate ??= {}
    spec.updateStrategy.rollingUpdate.partition ??= 0
    spec.updateStrategy.rollingUpdate.maxUnavailable ??= 1
  }
  const retention = spec.persistentVolumeClaimRetentionPolicy ?? {}
  spec.persistentVolumeClaimRetentionPolicy = {
    ...retention,
    whenDeleted: retention.whenDeleted || 'Retain',
    whenScaled: retention.whenScaled || 'Retain',
  }
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.apiVersion = 'v1'
    claim.kind = 'PersistentVolumeClaim'
    claim.status = { phase: 'Pending' }
  }
}

function validateStrategy({ type, rollingUpdate }: any): FieldError[] {
  const field = 'spec.updateStrategy.rollingUpdate'
  if (!rollingUpdate) return []
  if (type === 'OnDelete')
    return [invalidValue(field, rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'")]
  const { partition, maxUnavailable } = rollingUpdate
  const errors = validateCount(`${field}.partition`, partition)
  if (maxUnavailable === undefined) return errors
  errors.push(...validateShare(`${field}.maxUnavailable`, maxUnavailable))
  if (isZeroShare(maxUnavailable)) errors.push(invalidValue(`${field}.maxUnavailable`, maxUnavailable, 'cannot be 0'))
  return [...errors, ...notMoreThanAll(`${field}.maxUnavailable`, maxUnavailable)]
}

function validateRetention(policy: any = {}): FieldError[] {
  const allowed = ['Retain', 'Delete']
  return ['whenDeleted', 'whenScaled']
    .filter((field) => !allowed.includes(policy[field]))
    .map((field) => notSupported(`spec.persistentVolumeClaimRetentionPolicy.${field}`, policy[field], allowed))
}

function validateClaims(claims: any[] = []): FieldError[] {
  return claims.flatMap(({ spec }, index) => [
    ...validateAccessModes(spec?.accessModes, `spec.volumeClaimTemplates[${index}].spec.accessModes`),
    ...validateStorageAmount(
      spec?.resources?.requests?.storage,
      `spec.volumeClaimTemplates[${index}].spec.resources[storage]`,
    ),
  ])
}

/** The template as Pods get it: each claim template is a volume, hostname and subdomain are the controller's. */
function completedTemplate({ template, volumeClaimTemplates = [] }: any): any {
  if (!template?.spec) return template
  const { hostname, subdomain, ...podSpec } = template.spec
  const names = volumeClaimTemplates.map((claim: any) => claim.metadata?.name)
  const claimed = names.map((name: string) => ({ name, persistentVolumeClaim: { claimName: name } }))
  const others = (podSpec.volumes ?? []).filter((volume: any) => !names.includes(volume.name))
  return { ...template, spec: { ...podSpec, volumes: [...claimed, ...others] } }
}

const changeable = [
  'replicas',
  'template',
  'updateStrategy',
  'minReadySeconds',
  'ordinals',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
]

function fixedPart(spec: any): unknown {
  const rest = { ...spec }
  for (const field of changeable) delete rest[field]
  return rest
}

function validate({ spec }: ApiObject, old?: ApiObject): FieldError[] {
  if (!spec) return []
  const selectorErrors = validateOwnSelector(spec.selector, 'statefulset')
  const errors = [
    ...validateStrategy(spec.updateStrategy ?? {}),
    ...validateRetention(spec.persistentVolumeClaimRetentionPolicy),
    ...(old ? [] : validateClaims(spec.volumeClaimTemplates)),
    ...validateCount('spec.replicas', spec.replicas),
    ...validateCount('spec.minReadySeconds', spec.minReadySeconds),
    ...validateCount('spec.ordinals.start', spec.ordinals?.start),
    ...validateCount('spec.revisionHistoryLimit', spec.revisionHistoryLimit),
    ...(old || !spec.serviceName
      ? []
      : dnsLabelProblems(spec.serviceName).map((problem) =>
          invalidValue('spec.serviceName', spec.serviceName, problem),
        )),
    ...selectorErrors,
    ...validateTemplate({ ...spec, template: completedTemplate(spec) }, selectorErrors.length === 0, 'StatefulSet'),
  ]
  if (old && !equalJson(fixedPart(spec), fixedPart(old.spec)))
    errors.push(
      forbidden(
        'spec',
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
      ),
    )
  return errors
}

export const statefulSet = defineKind({
  group: 'apps',
  version: 'v1',
  kind: 'StatefulSet',
  plural: 'statefulsets',
  singular: 'statefulset',
  shortNames: ['sts'],
  categories: ['all'],
  scope: 'Namespaced',
  nameRule: 'dns-label',
  schema: schemaOf('apps.v1.StatefulSet'),
  types,
  subresources: {
    status: true,
    scale: replicasScale,
  },
  columns: [
    text('Ready', ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`),
    ageColumn,
    ...templateColumns.filter((column) => column.name !== 'Selector'),
  ],
  defaults,
  prepareCreate(object) {
    object.status = { replicas: 0, availableReplicas: 0 }
  },
  validate,
  example: {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace: 'default' },
    spec: {
      serviceName: 'db',
      replicas: 3,
      selector: { matchLabels: { app: 'db' } },
      template: {
        metadata: { labels: { app: 'db' } },
        spec: {
          containers: [{ name: 'db', image: 'postgres:17', volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
        },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
        },
      ],
    },
  },
})
