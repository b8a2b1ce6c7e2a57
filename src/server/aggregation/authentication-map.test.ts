import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { startServer } from '../server.fixture.ts'
import { publishAuthentication } from './authentication-map.ts'

const path = '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication'
const certificates = { caCert: 'the CA', proxyCaCert: 'the CA of the front proxy' }

test('whom servers behind this one may believe is told by the first start, and again after a change or an end', async () => {
  const accountKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const { ok, refused, server } = await startServer({ pki: { accountKey, ...certificates } })
  try {
    const { data } = await ok('GET', path)
    assert.deepEqual([data['client-ca-file'], data['requestheader-client-ca-file']], Object.values(certificates))
    await ok('DELETE', path)
    await refused(404, 'GET', path)
    await publishAuthentication(server.handle, certificates)
    assert.deepEqual((await ok('GET', path)).data, data)
    await ok('PUT', path, { ...(await ok('GET', path)), data: { 'client-ca-file': 'another' } })
    await publishAuthentication(server.handle, certificates)
    assert.deepEqual((await ok('GET', path)).data, data)
  } finally {
    server.stop()
  }
})

test('a start without its namespace says so', async () => {
  const refuse = async () => ({
    status: 404,
    object: { kind: 'Status', message: 'namespaces "kube-system" not found' },
  })
  await assert.rejects(publishAuthentication(refuse as never, certificates), /namespaces "kube-system" not found/)
})
