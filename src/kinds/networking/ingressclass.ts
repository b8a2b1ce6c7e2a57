// IngressClass: who serves the Ingresses that name it.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dnsLabelProblems, dnsSubdomainProblems } from '../../api/names.ts'
import { ageColumn } from '../../api/table.ts'
import { equalJson } from '../../api/walk/plain.ts'
import { forbidden, invalidValue, notSupported, requiredValue, tooLong } from '../../api/walk/rules.ts'
import { none, text } from '../columns.ts'
import { immutable } from '../rules/field.ts'
import { schemaOf, types } from '../types.ts'
import { validateLocalReference } from './ingress-rules.ts'

const defaultMark = 'ingressclass.kubernetes.io/is-default-class'
const longestController = 250
/** Classes of other controllers are for those to read. */
const ownController = 'tandem.dev/ingress'

const name = ({ metadata }: ApiObject): string =>
  metadata.annotations?.[defaultMark] === 'true' ? `${metadata.name} (default)` : (metadata.name ?? '')

function parameters({ spec }: ApiObject): string {
  const reference = spec?.parameters
  if (!reference) return none
  return `${reference.kind}${reference.apiGroup === undefined ? '' : `.${reference.apiGroup}`}/${reference.name}`
}

/** 'example.com/controller': a domain and a path. */
function validateController(controller: string): FieldError[] {
  const field = 'spec.controller'
  if (!controller) return [requiredValue(field)]
  const slash = controller.indexOf('/')
  const isPrefixed = slash > 0 && slash < controller.length - 1
  if (!isPrefixed) return [invalidValue(field, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')]
  const errors = dnsSubdomainProblems(controller.slice(0, slash)).map((problem) =>
    invalidValue(field, controller.slice(0, slash), problem),
  )
  const path = controller.slice(slash + 1)
  if (!/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(path))
    errors.push(
      invalidValue(field, path, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"),
    )
  if (controller.length > longestController) errors.push(tooLong(field, longestController))
  return errors
}

function validateParameters(reference: any): FieldError[] {
  if (!reference) return []
  const field = 'spec.parameters'
  const errors = validateLocalReference(reference, field)
  const { scope, namespace } = reference
  if (scope === undefined) return [...errors, requiredValue(`${field}.scope`)]
  if (scope !== 'Cluster' && scope !== 'Namespace')
    return [...errors, notSupported(`${field}.scope`, scope, ['Cluster', 'Namespace'])]
  if (scope === 'Cluster')
    return namespace === undefined
      ? errors
      : [...errors, forbidden(`${field}.namespace`, "`parameters.scope` is set to 'Cluster'")]
  if (namespace === undefined)
    return [...errors, requiredValue(`${field}.namespace`, "`parameters.scope` is set to 'Namespace'")]
  return [
    ...errors,
    ...dnsLabelProblems(namespace).map((problem) => invalidValue(`${field}.namespace`, namespace, problem)),
  ]
}

export const ingressClass = defineKind({
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'IngressClass',
  plural: 'ingressclasses',
  singular: 'ingressclass',
  scope: 'Cluster',
  schema: schemaOf('networking.v1.IngressClass'),
  types,
  columns: [
    text('Name', name),
    text('Controller', ({ spec }) => spec?.controller ?? ''),
    text('Parameters', parameters),
    ageColumn,
  ],
  defaults({ spec }) {
    if (spec?.parameters) spec.parameters.scope ??= 'Cluster'
  },
  validate: ({ spec = {} }, old) => [
    ...(old ? immutable('spec.controller', spec.controller, old.spec?.controller) : []),
    ...validateController(spec.controller ?? ''),
    ...validateParameters(spec.parameters),
  ],
  warnings: ({ spec = {} }, old) =>
    spec.controller === ownController && spec.parameters && !equalJson(spec.parameters, old?.spec?.parameters)
      ? ['spec.parameters has no effect: there is nothing to set for the Ingresses that Tandem serves']
      : [],
  example: {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'IngressClass',
    metadata: { name: 'tandem' },
    spec: { controller: 'tandem.dev/ingress' },
  },
})
