// What a CustomResourceDefinition must be like (apiextensions pkg/apis/apiextensions/validation/validation.go, 1.36).

import type { FieldError } from '../../api/errors.ts'
import type { ApiObject } from '../../api/meta.ts'
import { dns1035LabelProblems, dnsSubdomainProblems } from '../../api/names.ts'
import { immutableText } from '../../api/validate-meta.ts'
import { invalidValue, notSupported, requiredValue } from '../../api/walk/rules.ts'
import { approvalProblems } from './approval.ts'
import { conditionIs } from './conditions.ts'
import { conversionProblems } from './conversion-rules.ts'
import { type JsonSchema, someSchema } from './json-schema.ts'
import { versionProblems } from './version-rules.ts'

type Spec = Record<string, any>

export function validateDefinition(definition: ApiObject, old?: ApiObject, subresource = ''): FieldError[] {
  const names = namesProblems(definition.status?.acceptedNames ?? {}, 'status.acceptedNames')
  if (subresource === 'status') return names
  const { spec = {} } = definition
  const errors: FieldError[] = []
  const expected = `${spec.names?.plural ?? ''}.${spec.group ?? ''}`
  if (!old && definition.metadata.name !== expected)
    errors.push(
      invalidValue('metadata.name', definition.metadata.name ?? '', 'must be spec.names.plural+"."+spec.group'),
    )
  errors.push(...specProblems(spec, old?.spec, old !== undefined && conditionIs(old, 'Established', 'True')))
  if (old) errors.push(...fixedProblems(spec, old))
  errors.push(...names, ...storedVersionProblems(definition.status?.storedVersions ?? [], spec.versions ?? []))
  errors.push(...approvalProblems(definition, old))
  if (spec.preserveUnknownFields && !old?.spec?.preserveUnknownFields)
    errors.push(
      invalidValue(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    )
  return errors
}

function specProblems(spec: Spec, old: Spec | undefined, served: boolean): FieldError[] {
  const errors: FieldError[] = []
  if (!spec.group) errors.push(requiredValue('spec.group'))
  else {
    const problems = dnsSubdomainProblems(spec.group)
    if (problems.length) errors.push(invalidValue('spec.group', spec.group, problems.join(',')))
    else if (!spec.group.includes('.'))
      errors.push(invalidValue('spec.group', spec.group, 'should be a domain with at least one dot'))
  }
  if (!spec.scope) errors.push(requiredValue('spec.scope'))
  else if (spec.scope !== 'Cluster' && spec.scope !== 'Namespaced')
    errors.push(notSupported('spec.scope', spec.scope, ['Cluster', 'Namespaced']))
  errors.push(...versionsProblems(spec, old))
  for (const name of ['plural', 'singular', 'kind', 'listKind'])
    if (!spec.names?.[name]) errors.push(requiredValue(`spec.names.${name}`))
  errors.push(...namesProblems(spec.names ?? {}, 'spec.names'))
  if (spec.preserveUnknownFields && spec.conversion && spec.conversion.strategy !== 'None')
    errors.push(
      invalidValue(
        'spec.conversion.strategy',
        spec.conversion.strategy,
        'must be None if spec.preserveUnknownFields is true',
      ),
    )
  errors.push(...conversionProblems(spec.conversion, old?.conversion, served))
  return errors
}

const schemaOf = (version: Spec): JsonSchema | undefined => version?.schema?.openAPIV3Schema

function versionsProblems(spec: Spec, old: Spec | undefined): FieldError[] {
  const errors: FieldError[] = []
  const versions: Spec[] = spec.versions ?? []
  // What was let in once without a schema may stay so.
  const needsSchema = !old || (old.versions ?? []).every(schemaOf)
  for (const [index, version] of versions.entries()) {
    const path = `spec.versions[${index}]`
    if (!schemaOf(version)) {
      if (needsSchema) errors.push(requiredValue(`${path}.schema.openAPIV3Schema`))
      else if (version.served && !spec.preserveUnknownFields)
        errors.push(requiredValue(`${path}.schema.openAPIV3Schema`, 'because otherwise all fields are pruned'))
    }
  }
  const hasDefaults = versions.some((one) => someSchema(schemaOf(one), (schema) => schema.default !== undefined))
  if (hasDefaults && spec.preserveUnknownFields)
    errors.push(
      invalidValue('spec.preserveUnknownFields', true, 'must be false in order to use defaults in the schema'),
    )
  for (const [index, version] of versions.entries()) {
    const path = `spec.versions[${index}]`
    const problems = dns1035LabelProblems(version.name ?? '')
    if (problems.length) errors.push(invalidValue(`${path}.name`, version.name ?? '', problems.join(',')))
    const before = old?.versions?.find((one: Spec) => one.name === version.name)
    errors.push(...versionProblems(version, before, path))
  }
  const names = versions.map((version) => version.name)
  if (new Set(names).size < names.length)
    errors.push(invalidValue('spec.versions', versions, 'must contain unique version names'))
  if (versions.filter((version) => version.storage).length !== 1)
    errors.push(invalidValue('spec.versions', versions, 'must have exactly one version marked as storage version'))
  return errors
}

function namesProblems(names: Spec, path: string): FieldError[] {
  const errors: FieldError[] = []
  const check = (field: string, value: string | undefined, prefix = '') => {
    if (!value) return
    const problems = dns1035LabelProblems(prefix ? value.toLowerCase() : value)
    if (problems.length) errors.push(invalidValue(`${path}.${field}`, value, prefix + problems.join(',')))
  }
  const mixed = 'may have mixed case, but should otherwise match: '
  check('plural', names.plural)
  check('singular', names.singular)
  check('kind', names.kind, mixed)
  check('listKind', names.listKind, mixed)
  for (const [index, name] of (names.shortNames ?? []).entries()) check(`shortNames[${index}]`, name)
  if (names.kind && names.kind === names.listKind)
    errors.push(invalidValue(`${path}.listKind`, names.listKind, 'kind and listKind may not be the same'))
  for (const [index, name] of (names.categories ?? []).entries()) check(`categories[${index}]`, name)
  return errors
}

/** What objects lie in the store under: their group and name never change, kind and scope not once they are served. */
function fixedProblems(spec: Spec, old: ApiObject): FieldError[] {
  const errors: FieldError[] = []
  const fixed = (path: string, value: unknown, before: unknown) => {
    if (value !== before) errors.push(invalidValue(path, value ?? '', immutableText))
  }
  if (conditionIs(old, 'Established', 'True')) {
    fixed('spec.scope', spec.scope, old.spec.scope)
    fixed('spec.names.kind', spec.names?.kind, old.spec.names?.kind)
  }
  fixed('spec.group', spec.group, old.spec.group)
  fixed('spec.names.plural', spec.names?.plural, old.spec.names?.plural)
  return errors
}

function storedVersionProblems(stored: string[], versions: Spec[]): FieldError[] {
  const path = 'status.storedVersions'
  if (stored.length === 0) return [invalidValue(path, stored, 'must have at least one stored version')]
  const errors: FieldError[] = []
  for (const version of versions)
    if (version.storage && !stored.includes(version.name))
      errors.push(invalidValue(path, stored, `must have the storage version ${version.name}`))
  for (const [index, name] of stored.entries())
    if (!versions.some((version) => version.name === name))
      errors.push(
        invalidValue(
          `${path}[${index}]`,
          name,
          `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
        ),
      )
  return errors
}
