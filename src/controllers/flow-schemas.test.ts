// Flow schemas know whether their level exists; the mandatory objects cannot be lost.

import { test } from 'node:test'
import type { ResourceRef } from '../api/meta.ts'
import { startTestPlatform } from './platform.fixture.ts'

const group = { group: 'flowcontrol.apiserver.k8s.io', version: 'v1' }
const schemas: ResourceRef = { ...group, resource: 'flowschemas' }
const levels: ResourceRef = { ...group, resource: 'prioritylevelconfigurations' }

test('conditions follow the levels, and what is mandatory comes back', async (context) => {
  const { client, until, stop } = await startTestPlatform()
  context.after(stop)
  const isDangling = (status: string) => (schema: any) =>
    schema?.status?.conditions?.some((one: any) => one.type === 'Dangling' && one.status === status) ?? false
  await until(schemas, 'service-accounts', isDangling('False'))
  await client.delete(levels, 'workload-low')
  await until(schemas, 'service-accounts', isDangling('True'))
  await client.delete(schemas, 'exempt')
  await client.delete(levels, 'catch-all')
  await until(schemas, 'exempt', isDangling('False'))
  await until(levels, 'catch-all', Boolean)
})
