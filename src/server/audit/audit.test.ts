// The audit log: what the policy lets through, and what is written of it.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { configMap, maps, patchType, startServer, userNamed } from '../server.fixture.ts'
import { createAudit } from './audit.ts'
import { openLogFile } from './log-file.ts'
import { readPolicy } from './policy.ts'

const policy = (...rules: object[]) => readPolicy({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules })

async function audited(...rules: object[]) {
  const lines: any[] = []
  const audit = createAudit({ policy: policy(...rules), write: (line) => lines.push(JSON.parse(line)) })
  const tandem = await startServer({ audit })
  lines.length = 0
  return { ...tandem, lines }
}

test('a policy that says nothing sensible is refused with what to change', () => {
  assert.throws(() => readPolicy({}), /must be a Policy of audit.k8s.io\/v1/)
  assert.throws(() => policy({ level: 'Some' }), /rules\[0\].level must be one of None, Metadata/)
  assert.throws(() => policy({ level: 'None', user: ['x'] }), /rules\[0\].user is no field/)
  assert.throws(
    () => policy({ level: 'None', nonResourceURLs: ['/a'], namespaces: ['b'] }),
    /cannot apply to both regular resources and non-resource URLs/,
  )
})

test('the first rule that fits decides how much is written', async () => {
  const { ok, refused, lines } = await audited(
    { level: 'None', users: ['quiet'] },
    { level: 'RequestResponse', resources: [{ resources: ['configmaps'] }], omitStages: ['RequestReceived'] },
    { level: 'Metadata', omitManagedFields: true },
  )
  await refused(403, 'GET', maps, undefined, { user: userNamed('quiet') })
  assert.equal(lines.length, 0)
  await ok('POST', maps, configMap('a', { k: 'v' }))
  assert.deepEqual(
    lines.map(({ stage, verb, level }) => [stage, verb, level]),
    [['ResponseComplete', 'create', 'RequestResponse']],
  )
  const [event] = lines
  assert.equal(event.requestObject.data.k, 'v')
  assert.equal(event.responseObject.metadata.name, 'a')
  assert.deepEqual(event.objectRef, { resource: 'configmaps', namespace: 'default', apiVersion: 'v1' })
  assert.equal(event.user.username, 'system:apiserver')
  lines.length = 0
  await refused(403, 'GET', '/api/v1/nodes', undefined, { user: userNamed('eve') })
  assert.deepEqual(
    lines.map(({ stage }) => stage),
    ['RequestReceived', 'ResponseComplete'],
  )
  assert.deepEqual([lines[1].responseStatus.code, lines[1].requestObject], [403, undefined])
})

test('what admission notes and what streams ask for is written down', async () => {
  const { ok, server, lines } = await audited({ level: 'Metadata', omitStages: ['RequestReceived'] })
  const labels = { 'pod-security.kubernetes.io/audit': 'restricted' }
  await ok('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'strict', labels } })
  await ok('POST', '/api/v1/namespaces/strict/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  await ok('POST', '/api/v1/namespaces/strict/pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'c', image: 'i' }] },
  })
  const { annotations } = lines.at(-1)
  assert.equal(annotations['authorization.k8s.io/decision'], 'allow')
  assert.match(annotations['pod-security.kubernetes.io/audit-violations'], /restricted/)
  const path = '/api/v1/namespaces/strict/pods/p/exec'
  const asked = { method: 'POST' as const, path, query: new URLSearchParams('command=sh'), headers: {} }
  await assert.rejects(server.admitStream({ ...asked, user: userNamed('eve') }), /forbidden/)
  const { verb, objectRef, responseStatus, annotations: notes } = lines.at(-1)
  assert.deepEqual([verb, objectRef.subresource, responseStatus.code], ['create', 'exec', 403])
  assert.equal(notes['authorization.k8s.io/decision'], 'forbid')
})

test('who acts as somebody else is written down as both', async () => {
  const { ok, lines } = await audited({ level: 'Metadata', omitStages: ['RequestReceived'] })
  await ok('GET', '/version', undefined, { headers: { 'impersonate-user': 'eve' } })
  assert.deepEqual([lines[0].user.username, lines[0].impersonatedUser.username], ['system:apiserver', 'eve'])
})

test('a file that is full becomes an old one, and only so many stay', async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'audit-'))
  context.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'audit.log')
  await writeFile(path, 'old\n')
  const file = openLogFile({ path, size: 8, keep: 2, failed: assert.fail })
  for (const line of ['one', 'two', 'three', 'four', 'five']) file.write(line)
  await file.close()
  const read = (name: string) => readFile(join(folder, name), 'utf8')
  assert.equal(await read('audit.log'), 'five\n')
  assert.equal(await read('audit.log.1'), 'four\n')
  assert.equal(await read('audit.log.2'), 'three\n')
  await assert.rejects(read('audit.log.3'))
})

test('notes of admission are written of a refusal, too', async () => {
  const { ok, refused, lines } = await audited({ level: 'Metadata', omitStages: ['RequestReceived'] })
  const labels = { 'pod-security.kubernetes.io/enforce': 'baseline' }
  await ok('PATCH', '/api/v1/namespaces/default', { metadata: { labels } }, patchType('merge'))
  await ok('POST', '/api/v1/namespaces/default/serviceaccounts', {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  })
  const spec = { hostPID: true, containers: [{ name: 'c', image: 'i' }] }
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec }
  await refused(403, 'POST', '/api/v1/namespaces/default/pods', pod)
  assert.equal(lines.at(-1).annotations['pod-security.kubernetes.io/enforce-policy'], 'baseline:latest')
})
