// NetworkAttachmentDefinition: a further network that VMs and Pods may join beside the pod network. The kind of the
// Network Plumbing Working Group (multi-net-spec 1.3), as Multus brings it; here Tandem itself acts on it.

import type { FieldError } from '../../api/errors.ts'
import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import type { Schema } from '../../api/schema.ts'
import { ageColumn } from '../../api/table.ts'
import { invalidValue } from '../../api/walk/rules.ts'
import { types } from '../types.ts'
import { configProblem } from './network-config.ts'

const schema: Schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      properties: { config: { type: 'string', description: 'The CNI configuration of the network, as JSON text.' } },
    },
  },
}

function validate({ metadata, spec }: ApiObject): FieldError[] {
  const config = spec?.config
  const problem = typeof config === 'string' && config ? configProblem(config, metadata.name ?? '') : undefined
  return problem ? [invalidValue('spec.config', config, problem)] : []
}

export const networkAttachmentDefinition = defineKind({
  group: 'k8s.cni.cncf.io',
  version: 'v1',
  kind: 'NetworkAttachmentDefinition',
  plural: 'network-attachment-definitions',
  singular: 'network-attachment-definition',
  shortNames: ['net-attach-def'],
  scope: 'Namespaced',
  protobuf: false,
  schema,
  types,
  columns: [ageColumn],
  validate,
  example: {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: { name: 'lab', namespace: 'default' },
    spec: {
      config: JSON.stringify({
        cniVersion: '1.0.0',
        name: 'lab',
        type: 'bridge',
        bridge: 'lab0',
        ipam: { type: 'host-local', subnet: '10.10.0.0/24' },
      }),
    },
  },
})
