// CertificateSigningRequest: somebody asks a signer for a certificate. What needs cryptography or the user is checked by
// the server (server/admission/certificates.ts).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsSubdomainProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { humanDuration } from '../../api/time.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { duplicateValue, forbidden, invalidValue, notSupported, requiredValue, tooLong } from '../../api/walk/rules.ts'
import { none, text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

const decided = ['Approved', 'Denied']
const onlyTrue = [...decided, 'Failed']

interface Condition {
  type: string
  status: string
}
const conditionsOf = (object: ApiObject): Condition[] => object.status?.conditions ?? []

function state(object: ApiObject): string {
  const has = (type: string) => conditionsOf(object).some((condition) => condition.type === type)
  const verdict = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending'
  return `${verdict}${has('Failed') ? ',Failed' : ''}${object.status?.certificate ? ',Issued' : ''}`
}

/** 'example.com/signer': a domain of at least two parts and a path. */
function validateSigner(name: string): FieldError[] {
  const field = 'spec.signerName'
  if (!name) return [requiredValue(field)]
  if (name === 'kubernetes.io/legacy-unknown')
    return [invalidValue(field, name, 'the legacy signerName is not allowed via this API version')]
  const [domain = '', path, more] = name.split('/')
  const say = (problem: string) => invalidValue(field, name, problem)
  if (path === undefined || more !== undefined)
    return [say(`must be a fully qualified domain and path of the form 'example.com/signer-name'`)]
  const errors = domain.includes('.') ? [] : [say('should be a domain with at least two segments separated by dots')]
  errors.push(...[...dnsSubdomainProblems(domain), ...dnsSubdomainProblems(path)].map(say))
  if (name.length > 571) errors.push(tooLong(field, 571))
  return errors
}

function validateConditions(object: ApiObject): FieldError[] {
  const field = 'status.conditions'
  const errors: FieldError[] = []
  const seen = new Set<string>()
  conditionsOf(object).forEach(({ type, status }, index) => {
    const path = `${field}[${index}]`
    if (!type) errors.push(requiredValue(`${path}.type`))
    const allowed = onlyTrue.includes(type) ? ['True'] : ['False', 'True', 'Unknown']
    if (!status) errors.push(requiredValue(`${path}.status`))
    else if (!allowed.includes(status)) errors.push(notSupported(`${path}.status`, status, allowed))
    if (seen.has(type)) errors.push(duplicateValue(`${path}.type`, type))
    seen.add(type)
    if (decided.includes(type) && decided.every((one) => seen.has(one)))
      errors.push(invalidValue(field, type, 'Approved and Denied conditions are mutually exclusive'))
  })
  return errors
}

/** Who may change what: conditions stay, the verdict comes by /approval and the certificate by /status, once. */
function validateChange(object: ApiObject, old: ApiObject, subresource: string): FieldError[] {
  const errors: FieldError[] = []
  const of = (from: ApiObject, type: string) => conditionsOf(from).filter((condition) => condition.type === type)
  const say = (text: string) => errors.push(forbidden('status.conditions', text))
  for (const type of onlyTrue) {
    const [now, before] = [of(object, type), of(old, type)]
    if (now.length < before.length) say(`updates may not remove a condition of type "${type}"`)
    else if (subresource === 'approval' || !decided.includes(type)) continue
    else if (now.length > before.length) say(`updates may not add a condition of type "${type}"`)
    else if (!equalJson(now, before)) say(`updates may not modify a condition of type "${type}"`)
  }
  const [certificate, had] = [object.status?.certificate ?? '', old.status?.certificate ?? '']
  if (certificate === had) return errors
  if (subresource !== 'status') errors.push(forbidden('status.certificate', 'updates may not set certificate content'))
  else if (had) errors.push(forbidden('status.certificate', 'updates may not modify existing certificate content'))
  return errors
}

function validate(object: ApiObject, old?: ApiObject, subresource = ''): FieldError[] {
  const { spec = {} } = object
  const errors: FieldError[] = []
  if (!old) {
    const usages: string[] = spec.usages ?? []
    if (usages.length === 0) errors.push(requiredValue('spec.usages'))
    usages.forEach((usage, index) => {
      if (usages.indexOf(usage) < index) errors.push(duplicateValue(`spec.usages[${index}]`, usage))
    })
    errors.push(...validateSigner(spec.signerName ?? ''))
    if (spec.expirationSeconds < 600)
      errors.push(
        invalidValue(
          'spec.expirationSeconds',
          spec.expirationSeconds,
          'may not specify a duration less than 600 seconds (10 minutes)',
        ),
      )
  }
  return [...errors, ...validateConditions(object), ...(old ? validateChange(object, old, subresource) : [])]
}

export const certificateSigningRequest = defineKind({
  group: 'certificates.k8s.io',
  version: 'v1',
  kind: 'CertificateSigningRequest',
  plural: 'certificatesigningrequests',
  singular: 'certificatesigningrequest',
  shortNames: ['csr'],
  scope: 'Cluster',
  schema: schemaOf('certificates.v1.CertificateSigningRequest'),
  types,
  subresources: { status: true },
  hasGeneration: false,
  nameRule: 'path-segment',
  columns: [
    ageColumn,
    text('SignerName', ({ spec }) => spec?.signerName || none),
    text('Requestor', ({ spec }) => spec?.username ?? ''),
    text('RequestedDuration', ({ spec }) =>
      spec?.expirationSeconds === undefined ? none : humanDuration(spec.expirationSeconds * 1000),
    ),
    text('Condition', state),
  ],
  prepareUpdate(object, old, subresource) {
    if (subresource === '') object.spec = old.spec
    // The verdict changes the conditions only; a status leaves the verdict as it was.
    if (subresource === 'approval') {
      const { certificate: _, ...sent } = object.status ?? {}
      const had = old.status?.certificate
      object.status = { ...sent, ...(had && { certificate: had }) }
    }
    if (subresource !== 'status' || !object.status?.conditions) return
    for (const type of decided) {
      const before = conditionsOf(old).filter((condition) => condition.type === type)
      const now = conditionsOf(object).filter((condition) => condition.type === type)
      if (before.length !== now.length) continue
      object.status.conditions = conditionsOf(object).map((one) => (one.type === type ? before.shift()! : one))
    }
  },
  validate,
  fields: { 'spec.signerName': ({ spec }) => spec?.signerName ?? '' },
  example: {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: 'jane' },
    spec: {
      request:
        'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIWE1IOENBUUF3SFRFTk1Bc0dBMVVFQXd3RWFtRnVaVEVNTUFvR0ExVUVDZ3dEWkdWMk1Ga3dFd1lIS29aSQp6ajBDQVFZSUtvWkl6ajBEQVFjRFFnQUVKT1Zud3NSMmptaVFZUFExbEdiL2tTVjR2ZWdPb3FTak14TzArQlp3CkVaM2ZzMVV4OVdJblNTU0hpaFJYbS8yczBFTWVONllBMTR6cG93NHUyYTllNDZBQU1Bb0dDQ3FHU000OUJBTUMKQTBnQU1FVUNJREhpZUdOcTBNUHc4R2o2V0JrUFVLTWxyOVpaWktDZGdtKzZ4M0lORFFhNUFpRUFwVkJJaS9zeApmRWtxQ2djVC9MWlJsNGEzaTY5RVdCaDlPOEMrcytRZE1Ldz0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==',
      signerName: 'kubernetes.io/kube-apiserver-client',
      usages: ['client auth'],
    },
  },
})
