// ServiceCIDR: a range from which Services get their ClusterIPs.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { checkRange, parseRange } from '../rules/addresses.ts'
import { schemaOf, types } from '../types.ts'

const field = 'spec.cidrs'
const unchanging = 'field is immutable'

function validateRanges(cidrs: string[]): FieldError[] {
  if (cidrs.length === 0) return [requiredValue(field, 'at least one CIDR required')]
  if (cidrs.length > 2) return [invalidValue(field, { cidrs }, 'may only hold up to 2 values')]
  const errors = cidrs.flatMap((cidr, index) => checkRange(`${field}[${index}]`, cidr))
  const [first, second] = cidrs.map((cidr) => parseRange(cidr)?.family)
  if (first !== undefined && first === second)
    errors.push(
      invalidValue(
        field,
        cidrs,
        'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
      ),
    )
  return errors
}

/** A range stays; a second one of the other family may come. */
function validateChange(cidrs: string[], before: string[]): FieldError[] {
  const grows = before.length === 1 && cidrs.length === 2
  if (cidrs.length !== before.length && !grows) return [invalidValue(field, cidrs, unchanging)]
  const errors = before.flatMap((cidr, index) =>
    cidrs[index] === cidr ? [] : [invalidValue(`${field}[${index}]`, cidrs[index], unchanging)],
  )
  return grows ? [...errors, ...validateRanges(cidrs)] : errors
}

export const serviceCidr = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'ServiceCIDR',
  listKind: 'ServiceCIDRList',
  plural: 'servicecidrs',
  singular: 'servicecidr',
  scope: 'Cluster',
  schema: schemaOf('networking.v1.ServiceCIDR'),
  types,
  subresources: { status: true },
  hasGeneration: false,
  columns: [text('CIDRs', ({ spec }) => (spec?.cidrs ?? []).join(',')), ageColumn],
  validate: ({ spec }, old) =>
    old ? validateChange(spec?.cidrs ?? [], old.spec?.cidrs ?? []) : validateRanges(spec?.cidrs ?? []),
  example: {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'more' },
    spec: { cidrs: ['10.44.0.0/16'] },
  },
})
