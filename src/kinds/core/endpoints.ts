// Endpoints: the addresses behind a Service, in the older form that some clients still read.

import { defineKind } from '../../api/kind.ts'
import type { ApiObject } from '../../api/meta.ts'
import { ageColumn } from '../../api/table.ts'
import { joinFirst, none, text } from '../columns.ts'
import { schemaOf, types } from '../types.ts'

function addresses({ subsets = [] }: ApiObject): string {
  const list: string[] = []
  for (const subset of subsets) {
    const ips: string[] = (subset.addresses ?? []).map((address: any) => address.ip)
    if (!subset.ports?.length) list.push(...ips)
    for (const port of subset.ports ?? []) list.push(...ips.map((ip) => `${ip}:${port.port}`))
  }
  return list.length ? joinFirst(list) : none
}

export const endpoints = defineKind({
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  plural: 'endpoints',
  singular: 'endpoints',
  shortNames: ['ep'],
  scope: 'Namespaced',
  schema: schemaOf('core.v1.Endpoints'),
  types,
  columns: [text('Endpoints', addresses), ageColumn],
  example: {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: 'web', namespace: 'default' },
    subsets: [{ addresses: [{ ip: '10.1.0.5' }], ports: [{ name: 'http', port: 80 }] }],
  },
})
