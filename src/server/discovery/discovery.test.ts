// The documents of discovery as older clients read them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '../server.fixture.ts'

test('a resource says in which version it is stored, as upstream does (apiserver discovery, 1.36)', async () => {
  const { ok } = await startServer()
  const { resources } = await ok('GET', '/api/v1')
  const hashOf = (name: string) => resources.find((one: any) => one.name === name).storageVersionHash
  assert.equal(hashOf('pods'), 'xPOwRZ+Yhw8=')
  assert.equal(hashOf('configmaps'), 'qFsyl6wFWjQ=')
  assert.equal(hashOf('pods/status'), undefined)
})
