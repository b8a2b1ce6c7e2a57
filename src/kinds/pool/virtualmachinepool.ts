// VirtualMachinePool: keeps a number of machines of one template, numbered from 0.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { forbidden, invalidValue, notSupported } from '../../api/walk/rules.ts'
import { defaultTemplate } from '../kubevirt/instance-defaults.ts'
import { validateReplicas } from '../kubevirt/replicas-rules.ts'
import { virtualMachine } from '../kubevirt/virtualmachine.ts'
import { machineScale, replicaColumns } from '../replicas.ts'
import { schemaOf, types } from '../types.ts'

const sortPolicies = ['AscendingOrder', 'DescendingOrder', 'Newest', 'Oldest', 'Random']
const preservations = ['Disabled', 'Offline', 'Online']

function validate(object: ApiObject, old?: ApiObject): FieldError[] {
  const errors = validateReplicas(object, old, 'virtualMachineTemplate')
  const { virtualMachineTemplate: template, scaleInStrategy, updateStrategy } = object.spec ?? {}
  for (const [name, strategy] of [
    ['scaleInStrategy', scaleInStrategy],
    ['updateStrategy', updateStrategy],
  ] as const) {
    const at = `spec.${name}`
    if (Object.keys(strategy ?? {}).length > 1)
      errors.push(invalidValue(at, Object.keys(strategy).join(', '), 'only one strategy may be set'))
    const { sortPolicy, selectors } = strategy?.proactive?.selectionPolicy ?? {}
    if (sortPolicy && !sortPolicies.includes(sortPolicy))
      errors.push(notSupported(`${at}.proactive.selectionPolicy.sortPolicy`, sortPolicy, sortPolicies))
    if (selectors?.nodeSelectorRequirementMatcher)
      errors.push(
        forbidden(`${at}.proactive.selectionPolicy.selectors.nodeSelectorRequirementMatcher`, 'there is only one node'),
      )
    for (const kind of ['proactive', 'opportunistic']) {
      const state = strategy?.[kind]?.statePreservation
      const path = `${at}.${kind}.statePreservation`
      if (state && !preservations.includes(state)) errors.push(notSupported(path, state, preservations))
      else if (state && state !== 'Disabled') errors.push(forbidden(path, 'only Disabled is supported by Tandem'))
    }
  }
  const machine: ApiObject = { ...virtualMachine.example, spec: template?.spec }
  const prefix = 'spec.virtualMachineTemplate'
  for (const error of template?.spec ? (virtualMachine.validate?.(machine) ?? []) : [])
    errors.push({ ...error, field: `${prefix}.${error.field}` })
  return errors
}

export const virtualMachinePool = defineKind({
  group: 'pool.kubevirt.io',
  version: 'v1beta1',
  kind: 'VirtualMachinePool',
  plural: 'virtualmachinepools',
  singular: 'virtualmachinepool',
  shortNames: ['vmpool', 'vmpools'],
  categories: ['all'],
  scope: 'Namespaced',
  protobuf: false,
  schema: schemaOf('kubevirt.v1beta1.VirtualMachinePool'),
  types,
  subresources: {
    status: true,
    scale: machineScale,
  },
  columns: replicaColumns(1),
  defaults({ spec }) {
    const machine = spec?.virtualMachineTemplate?.spec
    defaultTemplate(machine?.template?.spec, machine?.preference !== undefined)
  },
  prepareCreate: (object) => {
    delete object.status
  },
  validate,
  example: {
    apiVersion: 'pool.kubevirt.io/v1beta1',
    kind: 'VirtualMachinePool',
    metadata: { name: 'workers', namespace: 'default' },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'worker' } },
      virtualMachineTemplate: {
        metadata: { labels: { app: 'worker' } },
        spec: {
          runStrategy: 'Always',
          template: {
            metadata: { labels: { app: 'worker' } },
            spec: {
              domain: { memory: { guest: '256Mi' }, devices: { disks: [{ name: 'root', disk: { bus: 'virtio' } }] } },
              volumes: [{ name: 'root', containerDisk: { image: 'example.com/disks/debian:12' } }],
            },
          },
        },
      },
    },
  },
})
