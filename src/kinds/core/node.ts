// Node: this machine, as Pods and VMs see it.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { none, text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'
import { validateNode } from './node-rules.ts'

function nodeStatus({ spec, status }: ApiObject): string {
  const ready = (status?.conditions ?? []).find((condition: any) => condition.type === 'Ready')
  const words = [ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown']
  if (spec?.unschedulable) words.push('SchedulingDisabled')
  return words.join(',')
}

const rolePrefix = 'node-role.kubernetes.io/'

function nodeRoles({ metadata }: ApiObject): string {
  const roles = new Set<string>()
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length))
    else if (key === 'kubernetes.io/role' && value) roles.add(value)
  }
  return roles.size ? [...roles].sort().join(',') : none
}

const address = (type: string) => (node: ApiObject) =>
  (node.status?.addresses ?? []).find((entry: any) => entry.type === type)?.address ?? none

const info = (field: string) => (node: ApiObject) => node.status?.nodeInfo?.[field] || '<unknown>'

export const node = defineKind({
  group: '',
  version: 'v1',
  kind: 'Node',
  plural: 'nodes',
  singular: 'node',
  shortNames: ['no'],
  scope: 'Cluster',
  schema: schemaOf('core.v1.Node'),
  types,
  subresources: { status: true },
  hasGeneration: false,
  // What nobody keeps back may be asked for (SetDefaults_NodeStatus).
  defaults({ status }) {
    if (status?.capacity && !status.allocatable) status.allocatable = { ...status.capacity }
  },
  validate: validateNode,
  columns: [
    text('Status', nodeStatus),
    text('Roles', nodeRoles),
    ageColumn,
    text('Version', (object) => object.status?.nodeInfo?.kubeletVersion ?? ''),
    text('Internal-IP', address('InternalIP'), 1),
    text('External-IP', address('ExternalIP'), 1),
    text('OS-Image', info('osImage'), 1),
    text('Kernel-Version', info('kernelVersion'), 1),
    text('Container-Runtime', info('containerRuntimeVersion'), 1),
  ],
  fields: { 'spec.unschedulable': (object) => String(object.spec?.unschedulable ?? false) },
  example: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'machine' }, spec: {} },
})
