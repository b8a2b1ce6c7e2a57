// The devices that a Pod asks for by claims, and which of its containers get them (pkg/apis/core/validation, 1.36).

import type { FieldError } from '../../api/errors.ts'
import { dnsLabelProblems, dnsSubdomainProblems } from '../../api/names.ts'
import { duplicateValue, invalidValue, requiredValue } from '../../api/walk/rules.ts'
import { notFound, uniqueNames } from '../rules/field.ts'
import { checkName } from '../rules/names.ts'

const sources = ['resourceClaimName', 'resourceClaimTemplateName']
const oneOf = 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'

function validateClaim(claim: any, path: string): FieldError[] {
  const errors = checkName(`${path}.name`, claim?.name, dnsLabelProblems)
  const given = sources.filter((field) => claim?.[field] !== undefined)
  if (given.length === 0) errors.push(requiredValue(path, oneOf))
  if (given.length > 1)
    errors.push(
      invalidValue(path, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'),
    )
  for (const field of given) errors.push(...checkName(`${path}.${field}`, claim[field], dnsSubdomainProblems))
  return errors
}

function validateUses(container: any, path: string, names: Set<string>): FieldError[] {
  const seen = new Set<string>()
  return (container?.resources?.claims ?? []).flatMap((use: any, index: number) => {
    const at = `${path}.resources.claims[${index}]`
    if (!use?.name) return [requiredValue(`${at}.name`)]
    const key = `${use.name}/${use.request ?? ''}`
    if (seen.has(key)) return [duplicateValue(at, use.request ? key : use.name)]
    seen.add(key)
    return names.has(use.name) ? [] : [notFound(at, use.name)]
  })
}

export function validateResourceClaims(spec: any, field: string): FieldError[] {
  const claims: any[] = Array.isArray(spec.resourceClaims) ? spec.resourceClaims : []
  const names = new Set(claims.map((claim) => claim?.name))
  const inContainers = ['initContainers', 'containers'].flatMap((list) =>
    (Array.isArray(spec[list]) ? spec[list] : []).flatMap((container: any, index: number) =>
      validateUses(container, `${field}.${list}[${index}]`, names),
    ),
  )
  return [
    ...claims.flatMap((claim, index) => validateClaim(claim, `${field}.resourceClaims[${index}]`)),
    ...uniqueNames(`${field}.resourceClaims`, claims),
    ...inContainers,
  ]
}
