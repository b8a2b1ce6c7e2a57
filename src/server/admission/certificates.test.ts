// Requests for certificates: who asks, who approves, who signs, and what comes out.

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { certificateSigningRequest } from '../../kinds/certificates/certificatesigningrequest.ts'
import { makeAuthority } from '../auth/certificates.ts'
import { requestFacts, signRequest } from '../auth/signing-requests.ts'
import { patchType, startServer, userNamed } from '../server.fixture.ts'

const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests'
const { example } = certificateSigningRequest
const bob = { user: { ...userNamed('bob', 'dev'), uid: '7', extra: { team: ['a'] } } }
const rbac = '/apis/rbac.authorization.k8s.io/v1'

async function allow({ ok }: Awaited<ReturnType<typeof startServer>>, verbs: string[], resources: string[]) {
  const name = resources.join('.').replaceAll('/', '-')
  await ok('POST', `${rbac}/clusterroles`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name },
    rules: [{ apiGroups: ['certificates.k8s.io'], resources, verbs }],
  })
  await ok('POST', `${rbac}/clusterrolebindings`, {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'bob' }],
  })
}

test('the server writes down who asks', async () => {
  const tandem = await startServer()
  await allow(tandem, ['create'], ['certificatesigningrequests'])
  const sent = { ...example, spec: { ...example.spec, username: 'root', groups: ['system:masters'], uid: '0' } }
  const { spec } = await tandem.ok('POST', requests, sent, bob)
  assert.deepEqual(
    [spec.username, spec.uid, spec.groups, spec.extra],
    ['bob', '7', ['dev', 'system:authenticated'], { team: ['a'] }],
  )
})

test('a request must be signed with its own key', async () => {
  const { refused } = await startServer()
  const damaged = Buffer.from(example.spec.request, 'base64').toString().split('\n')
  damaged[damaged.length - 3] = `${damaged[damaged.length - 3]!.slice(0, -8)}AAAAAAAA`
  const wrong = (text: string) => ({
    ...example,
    spec: { ...example.spec, request: Buffer.from(text).toString('base64') },
  })
  assert.match(await refused(422, 'POST', requests, wrong(damaged.join('\n'))), /spec.request: Invalid value/)
  assert.match(await refused(422, 'POST', requests, wrong('no PEM')), /PEM block type must be CERTIFICATE REQUEST/)
})

test('approval and signing need a permission for the signer', async () => {
  const tandem = await startServer()
  const { ok, refused } = tandem
  await ok('POST', requests, example)
  await allow(tandem, ['update', 'patch'], ['certificatesigningrequests/approval', 'certificatesigningrequests/status'])
  const merge = { ...bob, ...patchType('merge') }
  const verdict = JSON.stringify({ status: { conditions: [{ type: 'Approved', status: 'True', reason: 'ok' }] } })
  assert.match(
    await refused(403, 'PATCH', `${requests}/jane/approval`, verdict, merge),
    /user not permitted to approve requests with signerName "kubernetes.io\/kube-apiserver-client"/,
  )
  assert.match(
    await refused(422, 'PATCH', `${requests}/jane/status`, verdict, patchType('merge')),
    /updates may not add a condition of type "Approved"/,
  )
  await allow(tandem, ['approve'], ['signers'])
  const approved = await ok('PATCH', `${requests}/jane/approval`, verdict, merge)
  assert.ok(approved.status.conditions[0].lastUpdateTime)
  const certificate = JSON.stringify({ status: { certificate: 'eA==' } })
  await refused(403, 'PATCH', `${requests}/jane/status`, certificate, merge)
  assert.match(
    await refused(422, 'PATCH', `${requests}/jane/status`, certificate, patchType('merge')),
    /must contain at least one CERTIFICATE PEM block/,
  )
})

test('a signed certificate holds what was asked, from our authority', async () => {
  const ca = await makeAuthority()
  assert.deepEqual(requestFacts(example.spec.request).organizations, ['dev'])
  const signed = await signRequest(ca, {
    request: example.spec.request,
    usages: ['client auth', 'digital signature'],
    expirationSeconds: 3600,
  })
  const made = new X509Certificate(Buffer.from(signed, 'base64'))
  assert.ok(made.verify(new X509Certificate(ca.cert).publicKey))
  assert.deepEqual({ ...made.toLegacyObject().subject }, { CN: 'jane', O: 'dev' })
  assert.deepEqual(made.keyUsage, ['1.3.6.1.5.5.7.3.2'])
  const left = Date.parse(made.validTo) - Date.now()
  assert.ok(left > 3590_000 && left <= 3600_000, String(left))
})
