// Aggregated ClusterRoles follow the roles that their selectors name.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ResourceRef } from '../api/meta.ts'
import { startTestPlatform } from './platform.fixture.ts'

const clusterRoles: ResourceRef = { group: 'rbac.authorization.k8s.io', version: 'v1', resource: 'clusterroles' }

test('a role joins an aggregated one by its label and leaves it again', async (context) => {
  const { client, until, stop } = await startTestPlatform()
  context.after(stop)
  const head = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole' }
  const rules = [{ apiGroups: ['example.com'], resources: ['things'], verbs: ['get'] }]
  await client.create(clusterRoles, {
    ...head,
    metadata: { name: 'things', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
    rules,
  })
  const has = (role: any) => role?.rules.some((rule: any) => rule.apiGroups?.includes('example.com')) ?? false
  // view is a part of edit, and edit of admin.
  await until(clusterRoles, 'admin', has)
  await client.delete(clusterRoles, 'things')
  const admin = await until(clusterRoles, 'admin', (role) => !has(role))
  assert.ok(admin.rules.length > 10)
})
