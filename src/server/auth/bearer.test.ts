// Bearer tokens beside those of service accounts: legacy ones in Secrets, bootstrap tokens, other issuers; and who may come
// without any.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { silentLogger } from '../../base/log.ts'
import { startServer } from '../server.fixture.ts'
import { readAuthenticationConfig } from './authentication-config.ts'
import { createOidc, userOfClaims } from './oidc.ts'

const secrets = (namespace: string) => `/api/v1/namespaces/${namespace}/secrets`
const secret = (name: string, type: string, stringData: object, annotations = {}) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, annotations },
  type,
  stringData,
})
const bearer = (token: string, path = '/') => ({ headers: { authorization: `Bearer ${token}` }, path })
const unauthorized = { reason: 'Unauthorized' }

test('a legacy token lasts as long as its Secret holds it', async () => {
  const { ok, server } = await startServer()
  const accounts = '/api/v1/namespaces/default/serviceaccounts'
  const head = { apiVersion: 'v1', kind: 'ServiceAccount' }
  const { metadata } = await ok('POST', accounts, { ...head, metadata: { name: 'robot' } })
  const account = { name: 'robot', uid: metadata.uid }
  const token = await server.tokens.issueLegacy('default', account, 'robot-token')
  await assert.rejects(server.authenticate(bearer(token)), unauthorized)
  const annotations = { 'kubernetes.io/service-account.name': 'robot' }
  const type = 'kubernetes.io/service-account-token'
  await ok('POST', secrets('default'), secret('robot-token', type, { token }, annotations))
  assert.equal((await server.authenticate(bearer(token))).name, 'system:serviceaccount:default:robot')
  assert.equal(await server.tokens.verify(token, ['elsewhere']), undefined)
  await ok('DELETE', `${secrets('default')}/robot-token`)
  await assert.rejects(server.authenticate(bearer(token)), unauthorized)
})

test('a bootstrap token is a Secret in kube-system that is not over', async () => {
  let time = Date.parse('2026-01-01T00:00:00Z')
  const { ok, server } = await startServer({ now: () => time })
  const data = {
    'token-id': 'abcdef',
    'token-secret': '0123456789abcdef',
    expiration: '2026-01-02T00:00:00Z',
    'usage-bootstrap-authentication': 'true',
    'auth-extra-groups': 'system:bootstrappers:workers',
  }
  const type = 'bootstrap.kubernetes.io/token'
  await ok('POST', secrets('kube-system'), secret('bootstrap-token-abcdef', type, data))
  const user = await server.authenticate(bearer('abcdef.0123456789abcdef'))
  assert.equal(user.name, 'system:bootstrap:abcdef')
  assert.deepEqual(user.groups, ['system:bootstrappers', 'system:bootstrappers:workers', 'system:authenticated'])
  await assert.rejects(server.authenticate(bearer('abcdef.0123456789abcdee')), unauthorized)
  time += 24 * 3600_000
  await assert.rejects(server.authenticate(bearer('abcdef.0123456789abcdef')), unauthorized)
})

const issuer = 'https://id.example.com'
const configuration = (more: object = {}) => ({
  apiVersion: 'apiserver.config.k8s.io/v1',
  kind: 'AuthenticationConfiguration',
  jwt: [
    {
      issuer: { url: issuer, audiences: ['tandem'] },
      claimMappings: { username: { claim: 'sub', prefix: 'id:' }, groups: { claim: 'groups', prefix: 'id:' } },
      claimValidationRules: [{ claim: 'org', requiredValue: 'acme' }],
    },
  ],
  ...more,
})

test('tokens of another issuer: signature, audience, claims, and keys that change', async () => {
  const keys = await Promise.all(['one', 'two'].map(async (kid) => ({ kid, ...(await generateKeyPair('ES256')) })))
  let published = [keys[0]!]
  let asked = 0
  let time = Date.now()
  const oidc = createOidc({
    issuers: readAuthenticationConfig(configuration()).issuers,
    log: silentLogger,
    now: () => time,
    async fetchJson(url) {
      asked++
      if (url === `${issuer}/.well-known/openid-configuration`) return { issuer, jwks_uri: `${issuer}/keys` }
      return {
        keys: await Promise.all(
          published.map(async ({ kid, publicKey }) => ({ kid, ...(await exportJWK(publicKey)) })),
        ),
      }
    },
  })
  const token = (index: number, claims: object = {}, audience = 'tandem') =>
    new SignJWT({ sub: 'jane', groups: ['dev'], org: 'acme', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: keys[index]!.kid })
      .setIssuer(issuer)
      .setAudience(audience)
      .setExpirationTime(Math.floor(time / 1000) + 60)
      .sign(keys[index]!.privateKey)
  const user = async (text: Promise<string>) => (await oidc.verify(await text))?.user
  assert.deepEqual(await user(token(0)), { name: 'id:jane', groups: ['id:dev', 'system:authenticated'] })
  assert.equal(await user(token(0, {}, 'other')), undefined)
  assert.equal(await user(token(0, { org: 'evil' })), undefined)
  assert.equal(asked, 2)
  assert.equal(await user(token(1)), undefined)
  assert.equal(asked, 2)
  published = [keys[1]!]
  time += 20_000
  assert.equal((await user(token(1)))?.name, 'id:jane')
  assert.equal(await user(token(0)), undefined)
})

test('an address that is not proven is no name', () => {
  const [one] = readAuthenticationConfig(configuration()).issuers
  const mail = { ...one!, required: {}, username: { claim: 'email', prefix: '' } }
  assert.equal(userOfClaims(mail, { email: 'a@b', email_verified: false }), undefined)
  assert.equal(userOfClaims(mail, { email: 'a@b', email_verified: true })?.name, 'a@b')
})

test('a configuration that is wrong says where', () => {
  const wrong = (more: object) => () => readAuthenticationConfig(configuration(more))
  assert.throws(() => readAuthenticationConfig({}), /must be an AuthenticationConfiguration/)
  assert.throws(wrong({ jwts: [] }), /unknown field "jwts"/)
  const [jwt] = configuration().jwt
  assert.throws(
    wrong({ jwt: [{ ...jwt, issuer: { ...jwt!.issuer, url: 'http://x' } }] }),
    /jwt\[0\].issuer.url must be an https URL/,
  )
  assert.throws(wrong({ jwt: [jwt, jwt] }), /stands there twice/)
  const expression = { claimMappings: { username: { expression: 'claims.sub' } } }
  assert.throws(
    wrong({ jwt: [{ ...jwt, ...expression }] }),
    /username.expression: CEL expressions are not supported here/,
  )
})

test('who may come without credentials', async () => {
  const conditions = [{ path: '/livez' }]
  const some = readAuthenticationConfig(configuration({ jwt: [], anonymous: { enabled: true, conditions } }))
  const { server } = await startServer({ authentication: some })
  assert.equal((await server.authenticate({ headers: {}, path: '/livez' })).name, 'system:anonymous')
  await assert.rejects(server.authenticate({ headers: {}, path: '/api' }), unauthorized)
  const none = readAuthenticationConfig(configuration({ jwt: [], anonymous: { enabled: false } }))
  const closed = await startServer({ authentication: none })
  await assert.rejects(closed.server.authenticate({ headers: {}, path: '/livez' }), unauthorized)
})
