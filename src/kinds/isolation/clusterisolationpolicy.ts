// ClusterIsolationPolicy: how strongly Pods are isolated by image, service account, who creates them, and namespace.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsSubdomainProblems } from '../../api/names.ts'
import { validateSelector } from '../../api/selector.ts'
import { ageColumn } from '../../api/table.ts'
import { requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { checkName } from '../rules/names.ts'
import { types } from '../types.ts'
import { policySchema } from './policy-schema.ts'

function validate({ spec }: ApiObject): FieldError[] {
  return (spec?.rules ?? []).flatMap(({ minimum, runtimeClassName, match }: any, index: number) => {
    const at = `spec.rules[${index}]`
    return [
      ...(minimum || runtimeClassName
        ? []
        : [requiredValue(at, 'a rule needs a minimum, a runtimeClassName, or both')]),
      ...(runtimeClassName ? checkName(`${at}.runtimeClassName`, runtimeClassName, dnsSubdomainProblems) : []),
      ...validateSelector(match?.namespaceSelector, `${at}.match.namespaceSelector`),
    ]
  })
}

/** A rule that chooses does so where it is enforced. */
function warnings({ spec }: ApiObject): string[] {
  if (!spec?.mode || spec.mode === 'Enforce') return []
  return (spec.rules ?? []).flatMap(({ name, runtimeClassName, minimum }: any) =>
    runtimeClassName && !minimum
      ? [`spec.rules "${name}" has no effect: with mode ${spec.mode} no runtime class is chosen`]
      : [],
  )
}

const ready = ({ status }: ApiObject): string =>
  status?.conditions?.find(({ type }: { type: string }) => type === 'Ready')?.status ?? 'Unknown'

export const clusterIsolationPolicy = defineKind({
  group: 'policy.tandem.dev',
  version: 'v1alpha1',
  kind: 'ClusterIsolationPolicy',
  plural: 'clusterisolationpolicies',
  singular: 'clusterisolationpolicy',
  shortNames: ['cip'],
  scope: 'Cluster',
  protobuf: false,
  schema: policySchema,
  types,
  subresources: { status: true },
  columns: [
    { name: 'Priority', type: 'integer', value: ({ spec }) => spec?.priority ?? 0 },
    text('Mode', ({ spec }) => spec?.mode ?? 'Enforce'),
    text('Ready', ready),
    ageColumn,
    text('Rules', ({ spec }) => (spec?.rules ?? []).map(({ name }: { name: string }) => name).join(','), 1),
  ],
  prepareCreate(object) {
    delete object.status
  },
  validate,
  warnings,
  example: {
    apiVersion: 'policy.tandem.dev/v1alpha1',
    kind: 'ClusterIsolationPolicy',
    metadata: { name: 'foreign-images' },
    spec: {
      rules: [
        {
          name: 'not-ours',
          match: { exceptImages: ['registry.example.com/*'] },
          minimum: 'sandboxed',
          runtimeClassName: 'gvisor',
        },
      ],
    },
  },
})
