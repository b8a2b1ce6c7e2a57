// Certificates: made once, kept, renewed when a name is missing, and each good for its one purpose.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { kubeconfig, openPki } from './pki.ts'

test('one CA for serving and clients, keys private, names in the certificate', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'pki-'))
  context.after(() => rm(directory, { recursive: true }))
  const first = await openPki({ directory, names: ['10.1.2.3'] })
  const ca = new X509Certificate(first.caCert)
  const serving = new X509Certificate(first.servingCert)
  assert.ok(serving.verify(ca.publicKey))
  for (const name of ['localhost', 'kubernetes.default.svc']) assert.equal(serving.checkHost(name), name)
  for (const address of ['127.0.0.1', '10.1.2.3']) assert.equal(serving.checkIP(address), address)
  const admin = new X509Certificate(first.adminCert)
  assert.equal(admin.subject, 'O=system:masters\nCN=kubernetes-admin')
  for (const file of ['ca.key', 'apiserver.key', 'admin.key', 'sa.key'])
    assert.equal((await stat(join(directory, file))).mode & 0o777, 0o600)

  const second = await openPki({ directory, names: ['10.1.2.3'] })
  assert.equal(second.servingCert, first.servingCert)
  const third = await openPki({ directory, names: ['10.9.9.9'] })
  assert.equal(third.caCert, first.caCert)
  assert.equal(new X509Certificate(third.servingCert).checkIP('10.9.9.9'), '10.9.9.9')
})

test('a name with a comma stays one name', async (context) => {
  const directory = await mkdtemp(join(tmpdir(), 'pki-'))
  context.after(() => rm(directory, { recursive: true }))
  const { cert } = await (await openPki({ directory })).issueClient('eve,O=system:masters', ['dev'])
  assert.deepEqual({ ...new X509Certificate(cert).toLegacyObject().subject }, { O: 'dev', CN: 'eve,O=system:masters' })
})

test('the kubeconfig holds everything inline', () => {
  const text = kubeconfig({ server: 'https://h:1', caCert: 'CA', clientCert: 'C', clientKey: 'K' })
  assert.match(text, /server: https:\/\/h:1\n {4}certificate-authority-data: Q0E=\n/)
  assert.match(text, /client-certificate-data: Qw==\n {4}client-key-data: Sw==\n/)
})
