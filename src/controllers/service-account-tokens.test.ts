// Secrets with tokens: filled for an account, removed with it; bootstrap tokens that are over are removed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ResourceRef } from '../api/meta.ts'
import { startTestPlatform } from './platform.fixture.ts'
import { serviceAccounts } from './resources.ts'

const secrets: ResourceRef = { group: '', version: 'v1', resource: 'secrets' }
const head = { apiVersion: 'v1', kind: 'Secret' }

test('a Secret for an account gets its token, and goes with the account', async (context) => {
  const { client, until, stop } = await startTestPlatform()
  context.after(stop)
  const metadata = { name: 'robot', namespace: 'default' }
  const account = await client.create(serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata })
  const annotations = { 'kubernetes.io/service-account.name': 'robot' }
  const type = 'kubernetes.io/service-account-token'
  await client.create(secrets, { ...head, metadata: { ...metadata, name: 'robot-token', annotations }, type })
  const filled = await until(secrets, 'default/robot-token', (secret) => secret?.data?.token !== undefined)
  const text = (key: string) => Buffer.from(filled.data[key], 'base64').toString()
  assert.equal(filled.metadata.annotations?.['kubernetes.io/service-account.uid'], account.metadata.uid)
  assert.deepEqual([text('namespace'), text('ca.crt'), text('token').split('.').length], ['default', 'CA', 3])
  await client.delete(serviceAccounts, 'robot', 'default')
  await until(secrets, 'default/robot-token', (secret) => secret === undefined)
  const lost = { 'kubernetes.io/service-account.name': 'nobody' }
  await client.create(secrets, { ...head, metadata: { ...metadata, name: 'lost', annotations: lost }, type })
  await until(secrets, 'default/lost', (secret) => secret === undefined)
})

test('a bootstrap token that is over goes', async (context) => {
  const { client, until, stop } = await startTestPlatform()
  context.after(stop)
  const token = (name: string, expiration: string) => ({
    ...head,
    metadata: { name: `bootstrap-token-${name}`, namespace: 'kube-system' },
    type: 'bootstrap.kubernetes.io/token',
    stringData: { 'token-id': name, 'token-secret': '0123456789abcdef', expiration },
  })
  await client.create(secrets, token('aaaaaa', '2200-01-01T00:00:00Z'))
  await client.create(secrets, token('bbbbbb', '2020-01-01T00:00:00Z'))
  await until(secrets, 'kube-system/bootstrap-token-bbbbbb', (secret) => secret === undefined)
  await until(secrets, 'kube-system/bootstrap-token-aaaaaa', Boolean)
})
