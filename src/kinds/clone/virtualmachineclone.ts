// VirtualMachineClone: a new machine from a machine or from a snapshot of one (KubeVirt 1.9, vmclone-admitter.go).

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { invalidValue, notSupported } from '../../api/walk/rules.ts'
import { text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

const namePolicies = ['RandomizeNames', 'PrefixTargetName']
const groups: Record<string, string> = {
  VirtualMachine: 'kubevirt.io',
  VirtualMachineSnapshot: 'snapshot.kubevirt.io',
}

function validate({ spec }: ApiObject): FieldError[] {
  const { source, target, template, annotationFilters, labelFilters, volumeNamePolicy: policy } = spec ?? {}
  const errors = [
    ...validateFilters(annotationFilters, 'spec.annotations'),
    ...validateFilters(labelFilters, 'spec.labels'),
    ...validateFilters(template?.annotationFilters, 'spec.template.annotations'),
    ...validateFilters(template?.labelFilters, 'spec.template.labels'),
    ...validateSource(source),
    ...validateTarget(source, target),
  ]
  for (const [name, mac] of Object.entries<string>(spec?.newMacAddresses ?? {}))
    if (mac && !/^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i.test(mac))
      errors.push(
        invalidValue(`spec.newMacAddresses.${name}`, mac, `interface ${name} has malformed MAC address (${mac}).`),
      )
  for (const [index, patch] of ((spec?.patches ?? []) as string[]).entries())
    if (!isJson(patch)) errors.push(invalidValue(`spec.patches[${index}]`, patch, `patch is not valid JSON (${patch})`))
  if (policy !== undefined && !namePolicies.includes(policy))
    errors.push(notSupported('spec.volumeNamePolicy', policy, namePolicies))
  return errors
}

function validateSource(source: any): FieldError[] {
  if (!source) return [invalidValue('spec.Source', null, 'Source cannot be nil')]
  const { apiGroup, kind, name } = source
  const errors: FieldError[] = []
  if (!(kind in groups)) errors.push(invalidValue('spec.Source.Kind', kind, 'Source kind is not supported'))
  if (!apiGroup) errors.push(invalidValue('spec.Source.APIGroup', apiGroup, "Source's APIGroup cannot be empty"))
  else if (kind in groups && apiGroup !== groups[kind])
    errors.push(invalidValue('spec.Source.APIGroup', apiGroup, `a ${kind} is of the group ${groups[kind]}`))
  if (!name) errors.push(invalidValue('spec.Source.Name', name, "Source's name cannot be empty"))
  return errors
}

function validateTarget(source: any, target: any): FieldError[] {
  if (!target) return []
  if (target.kind !== 'VirtualMachine')
    return [invalidValue('spec.Target.Kind', target.kind, 'Target kind is not supported')]
  if (source?.kind !== 'VirtualMachine' || target.name !== source.name) return []
  const text = 'Target name cannot be equal to source name when both are VirtualMachines'
  return [invalidValue('spec.target.name', target.name, text)]
}

function validateFilters(filters: string[] | undefined, field: string): FieldError[] {
  const errors: FieldError[] = []
  for (const filter of filters ?? []) {
    const say = (text: string) => errors.push(invalidValue(field, filter, text))
    const wrong = (what: string, sign: string, rule: string) =>
      say(`${field} filter ${filter} is invalid: cannot contain a ${what} character (${sign}); FilterRules: ${rule}`)
    if (filter === '!') say('a negation character is not a valid filter')
    if (filter.length < 2) continue
    if (filter.slice(1).includes('!'))
      wrong('negation', '!', 'NegationChar can be only used at the beginning of the filter')
    if (filter.slice(0, -1).includes('*')) wrong('wildcard', '*', 'WildcardChar can be only at the end of the filter')
  }
  return errors
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

export const virtualMachineClone = defineKind({
  group: 'clone.kubevirt.io',
  version: 'v1beta1',
  kind: 'VirtualMachineClone',
  plural: 'virtualmachineclones',
  singular: 'virtualmachineclone',
  shortNames: ['vmclone', 'vmclones'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachineClone'),
  types,
  subresources: { status: true },
  columns: [
    text('Phase', ({ status }) => status?.phase ?? ''),
    text('SourceVirtualMachine', ({ spec }) => spec?.source?.name ?? ''),
    text('TargetVirtualMachine', ({ spec }) => spec?.target?.name ?? ''),
  ],
  prepareCreate: (object) => {
    delete object.status
  },
  validate,
  example: {
    apiVersion: 'clone.kubevirt.io/v1beta1',
    kind: 'VirtualMachineClone',
    metadata: { name: 'second', namespace: 'default' },
    spec: {
      source: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'db' },
      target: { apiGroup: 'kubevirt.io', kind: 'VirtualMachine', name: 'db-2' },
    },
  },
})
