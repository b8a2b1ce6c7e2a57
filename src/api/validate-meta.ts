// Validation of metadata on create and update: names, labels, annotations, owners, finalizers, what may never change
// (apimachinery api/validation/objectmeta.go and meta/v1/validation, 1.32).

import type { FieldError } from './errors.ts'
import type { ManagedFieldsEntry, ObjectMeta, OwnerReference } from './meta.ts'
import {
  byteLength,
  dnsLabelProblems,
  labelValueProblems,
  type NameRule,
  nameProblems,
  qualifiedNameProblems,
} from './names.ts'
import { equalJson } from './walk/plain.ts'
import { forbidden, invalidValue, notSupported, requiredValue, tooLong } from './walk/rules.ts'

export const immutableText = 'field is immutable'
const annotationLimit = 256 * 1024

/** A new object's metadata. generateName must already have become a name. */
export function validateMetaCreate(
  meta: ObjectMeta,
  options: { namespaced: boolean; nameRule?: NameRule },
  path = 'metadata',
): FieldError[] {
  const { namespaced, nameRule = 'dns-subdomain' } = options
  const errors: FieldError[] = []
  const add = (field: string, value: unknown, problems: string[]) => {
    for (const problem of problems) errors.push(invalidValue(`${path}.${field}`, value, problem))
  }
  if (meta.generateName) add('generateName', meta.generateName, nameProblems(nameRule, meta.generateName, true))
  if (!meta.name) errors.push(requiredValue(`${path}.name`, 'name or generateName is required'))
  else add('name', meta.name, nameProblems(nameRule, meta.name))
  if (!namespaced) {
    if (meta.namespace) errors.push(forbidden(`${path}.namespace`, 'not allowed on this type'))
  } else if (!meta.namespace) errors.push(requiredValue(`${path}.namespace`))
  else add('namespace', meta.namespace, dnsLabelProblems(meta.namespace))
  if ((meta.generation ?? 0) < 0) add('generation', meta.generation, ['must be greater than or equal to 0'])
  errors.push(...validateShared(meta, path), ...validateFinalizers(meta.finalizers ?? [], `${path}.finalizers`))
  return errors
}

/**
 * An update's metadata against what is stored. The server has filled in what clients may leave out (resourceVersion,
 * uid, creationTimestamp) before.
 */
export function validateMetaUpdate(meta: ObjectMeta, old: ObjectMeta, path = 'metadata'): FieldError[] {
  const errors: FieldError[] = []
  if (old.deletionTimestamp) {
    const added = (meta.finalizers ?? []).filter((finalizer) => !old.finalizers?.includes(finalizer)).sort()
    if (added.length)
      errors.push(
        forbidden(
          `${path}.finalizers`,
          `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((one) => JSON.stringify(one)).join(', ')}}`,
        ),
      )
  }
  if (!meta.resourceVersion) errors.push(invalidValue(`${path}.resourceVersion`, '', 'must be specified for an update'))
  if ((meta.generation ?? 0) < (old.generation ?? 0))
    errors.push(invalidValue(`${path}.generation`, meta.generation ?? 0, 'must not be decremented'))
  const fixed = [
    'name',
    'namespace',
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
  ] as const
  for (const field of fixed)
    if ((meta[field] ?? null) !== (old[field] ?? null) && !(meta[field] === '' && old[field] === undefined))
      errors.push(invalidValue(`${path}.${field}`, meta[field] ?? '', immutableText))
  errors.push(...validateShared(meta, path))
  return errors
}

function validateShared(meta: ObjectMeta, path: string): FieldError[] {
  return [
    ...validateLabels(meta.labels, `${path}.labels`),
    ...validateAnnotations(meta.annotations, `${path}.annotations`),
    ...validateOwners(meta.ownerReferences ?? [], `${path}.ownerReferences`),
    ...validateManagedFields(meta.managedFields ?? [], `${path}.managedFields`),
  ]
}

export function validateLabels(labels: Record<string, string> | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [key, value] of Object.entries(labels ?? {})) {
    for (const problem of qualifiedNameProblems(key)) errors.push(invalidValue(path, key, problem))
    for (const problem of labelValueProblems(value)) errors.push(invalidValue(path, value, problem))
  }
  return errors
}

export function validateAnnotations(annotations: Record<string, string> | undefined, path: string): FieldError[] {
  const errors: FieldError[] = []
  let size = 0
  for (const [key, value] of Object.entries(annotations ?? {})) {
    for (const problem of qualifiedNameProblems(key.toLowerCase())) errors.push(invalidValue(path, key, problem))
    size += key.length + (value.length > annotationLimit ? value.length : byteLength(value))
  }
  if (size > annotationLimit) errors.push(tooLong(path, annotationLimit))
  return errors
}

function validateOwners(owners: OwnerReference[], path: string): FieldError[] {
  const errors: FieldError[] = []
  let controller = ''
  for (const [index, owner] of owners.entries()) {
    const at = `${path}[${index}]`
    if (!owner.apiVersion) errors.push(requiredValue(`${at}.apiVersion`, 'must not be empty'))
    else if (!/^[^/]+(\/[^/]+)?$/.test(owner.apiVersion))
      errors.push(invalidValue(`${at}.apiVersion`, owner.apiVersion, 'must be <group>/<version> or <version>'))
    for (const field of ['kind', 'name', 'uid'] as const)
      if (!owner[field]) errors.push(requiredValue(`${at}.${field}`, 'must not be empty'))
    if (owner.apiVersion === 'v1' && owner.kind === 'Event')
      errors.push(invalidValue(at, owner, '/v1, Kind=Event is disallowed from being an owner'))
    if (!owner.controller) continue
    const name = `${owner.kind}/${owner.name}`
    if (controller)
      errors.push(
        invalidValue(
          path,
          owners,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${name}`,
        ),
      )
    else controller = name
  }
  return errors
}

function validateFinalizers(finalizers: string[], path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const finalizer of finalizers)
    for (const problem of qualifiedNameProblems(finalizer)) errors.push(invalidValue(path, finalizer, problem))
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion'))
    errors.push(invalidValue(path, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set'))
  return errors
}

function validateManagedFields(entries: ManagedFieldsEntry[], path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const [index, entry] of entries.entries()) {
    const at = `${path}[${index}]`
    if (!entry.operation) errors.push(requiredValue(`${at}.operation`, 'must not be empty'))
    else if (!['Apply', 'Update'].includes(entry.operation))
      errors.push(notSupported(`${at}.operation`, entry.operation, ['Apply', 'Update']))
    if (entry.fieldsType && entry.fieldsType !== 'FieldsV1')
      errors.push(invalidValue(`${at}.fieldsType`, entry.fieldsType, 'must be `FieldsV1`'))
    errors.push(...validateFieldManager(entry.manager ?? '', `${at}.manager`))
    if ((entry.subresource ?? '').length > 256) errors.push(tooLong(`${at}.subresource`, 256))
  }
  return errors
}

/** The `fieldManager` option and every manager name: at most 128 bytes, printable. */
export function validateFieldManager(manager: string, path = 'fieldManager'): FieldError[] {
  if (manager.length > 128) return [tooLong(path, 128)]
  const errors: FieldError[] = []
  let position = 0
  for (const character of manager) {
    if (!/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) {
      const code = character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')
      errors.push(invalidValue(path, manager, `invalid character U+${code} (at position ${position})`))
    }
    position += byteLength(character)
  }
  return errors
}

/** For the kinds: an error when a field differs from what it was. */
export const validateImmutable = (value: unknown, old: unknown, path: string): FieldError[] =>
  equalJson(value, old) ? [] : [invalidValue(path, value ?? null, immutableText)]
