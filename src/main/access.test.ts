// The files about access: read as YAML, refused by name, and the audit log written where it shall be.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { silentLogger } from '../base/log.ts'
import { openAccess } from './access.ts'

test('policies are read from files, and what is wrong names the file', async (context) => {
  const stateDir = await mkdtemp(join(tmpdir(), 'access-'))
  context.after(() => rm(stateDir, { recursive: true }))
  const auditPolicy = join(stateDir, 'policy.yaml')
  const auditLog = join(stateDir, 'audit.log')
  await writeFile(auditPolicy, 'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n')
  const access = await openAccess({ auditLog, auditPolicy }, silentLogger)
  const visit = access.audit!.begin(
    { method: 'GET', path: '/version', query: new URLSearchParams(), headers: {}, user: { name: 'a', groups: [] } },
    {
      ...{ isResource: false, verb: 'get', path: '/version', group: '', version: '', resource: '', subresource: '' },
      ...{ rest: [], namespace: '', name: '' },
    },
  )
  visit!.done({ status: 200, object: {} })
  await access.close()
  const lines = (await readFile(auditLog, 'utf8')).trimEnd().split('\n')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).stage),
    ['RequestReceived', 'ResponseComplete'],
  )
  await writeFile(auditPolicy, 'kind: Policy\n')
  await assert.rejects(openAccess({ auditLog, auditPolicy }, silentLogger), /policy.yaml: the audit policy must be/)
  const missing = join(stateDir, 'none.yaml')
  await assert.rejects(openAccess({ auditLog, authenticationConfig: missing }, silentLogger), /none.yaml: ENOENT/)
  assert.deepEqual(Object.keys(await openAccess({ auditLog }, silentLogger)), ['close'])
})
