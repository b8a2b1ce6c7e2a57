// VirtualMachineInstancePreset: what new instances with its labels get, where they say nothing of it themselves.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { validateSelector } from '../../api/selector.ts'
import { ageColumn } from '../../api/table.ts'
import { isPlainObject } from '../../api/walk/plain.ts'
import { requiredValue } from '../../api/walk/rules.ts'
import { schemaOf, types } from '../types.ts'
import { withoutEffect } from './presets.ts'

export const presetDeprecation = (version: string): string =>
  `kubevirt.io/${version} VirtualMachineInstancePresets is now deprecated and will be removed in v2.`

export const virtualMachineInstancePreset = defineKind({
  group: 'kubevirt.io',
  version: 'v1',
  kind: 'VirtualMachineInstancePreset',
  plural: 'virtualmachineinstancepresets',
  singular: 'virtualmachineinstancepreset',
  shortNames: ['vmipreset', 'vmipresets'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1.VirtualMachineInstancePreset'),
  types,
  columns: [ageColumn],
  deprecation: presetDeprecation('v1'),
  // The schema asks for devices, which presets of processors or memory leave out.
  defaults: ({ spec }) => {
    if (isPlainObject(spec?.domain)) spec.domain.devices ??= {}
  },
  validate: ({ spec }: ApiObject) => [
    ...(spec?.domain ? [] : [requiredValue('spec.domain', 'missing domain.')]),
    ...validateSelector(spec?.selector, 'spec.selector'),
  ],
  warnings: ({ spec }) =>
    withoutEffect(spec?.domain).map((field) => `spec.domain.${field} has no effect: a preset does not set it`),
  example: {
    apiVersion: 'kubevirt.io/v1',
    kind: 'VirtualMachineInstancePreset',
    metadata: { name: 'small', namespace: 'default' },
    spec: {
      selector: { matchLabels: { 'kubevirt.io/size': 'small' } },
      domain: { resources: { requests: { memory: '64M' } }, devices: {} },
    },
  },
})
