// Which requests for certificates are signed, approved and removed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goesAt } from './csr.ts'
import { approvals, clientSigner, kubeletClientSigner, kubeletServingSigner, signers } from './csr-signers.ts'
import { at, object, stamp } from './sample.fixture.ts'

const facts = (fields = {}) => ({
  commonName: 'system:node:n',
  organizations: ['system:nodes'],
  dnsNames: [],
  ips: [],
  emails: [],
  uris: [],
  ...fields,
})
const client = ['digital signature', 'client auth']
const serving = ['digital signature', 'key encipherment', 'server auth']

test('each signer checks what it signs', () => {
  const check = (signer: string, ...rest: [any, string[]]) => signers[signer]!(...rest)
  assert.equal(check(clientSigner, facts(), client), undefined)
  assert.equal(check(clientSigner, facts(), serving), 'invalid usage for client certificate: server auth')
  assert.match(check(clientSigner, facts(), ['digital signature'])!, /^missing required usage/)
  assert.equal(check(kubeletClientSigner, facts(), client), undefined)
  assert.equal(check(kubeletClientSigner, facts({ dnsNames: ['n'] }), client), 'DNS subjectAltNames are not allowed')
  assert.equal(check(kubeletServingSigner, facts(), serving), 'DNS or IP subjectAltName is required')
  assert.equal(check(kubeletServingSigner, facts({ ips: ['10.0.0.1'] }), serving), undefined)
  assert.match(check(kubeletServingSigner, facts({ ips: ['10.0.0.1'] }), client)!, /^usages did not match/)
})

test('a kubelet may renew its own certificate by the narrower permission', () => {
  assert.deepEqual(approvals(kubeletClientSigner, 'system:node:n', facts(), client), ['selfnodeclient', 'nodeclient'])
  assert.deepEqual(approvals(kubeletClientSigner, 'bootstrap', facts(), client), ['nodeclient'])
  assert.deepEqual(approvals(clientSigner, 'system:node:n', facts(), client), [])
})

test('decided requests go after an hour, waiting ones after a day', () => {
  const request = (status: object) => object('CertificateSigningRequest', 'a', { status })
  const condition = (type: string) => ({ type, status: 'True', lastUpdateTime: stamp(100) })
  assert.equal(goesAt(request({})), at(24 * 3600))
  assert.equal(goesAt(request({ conditions: [condition('Denied')] })), at(100 + 3600))
  assert.equal(goesAt(request({ conditions: [condition('Approved')] })), at(100 + 24 * 3600))
  assert.equal(goesAt(request({ conditions: [condition('Approved')], certificate: 'eA==' })), at(100 + 3600))
})
