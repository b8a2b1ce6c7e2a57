import assert from 'node:assert/strict'
import { test } from 'node:test'
import { validateCredentials } from './credential-rules.ts'

const secret = { secret: { secretName: 'keys' } }
const agent = { qemuGuestAgent: { users: ['alice'] } }

function problems(credential: object, volumes: object[] = []): string[] {
  const errors = validateCredentials({ accessCredentials: [credential], volumes }, 'spec.accessCredentials')
  return errors.map((error) => `${error.field}: ${error.detail}`)
}

test('a key or a password that says from where and how is taken', () => {
  assert.deepEqual(problems({ sshPublicKey: { source: secret, propagationMethod: agent } }), [])
  assert.deepEqual(problems({ userPassword: { source: secret, propagationMethod: { qemuGuestAgent: {} } } }), [])
})

test('it is one of both, by one way, from one place', () => {
  const at = 'spec.accessCredentials[0]'
  const key = { source: secret, propagationMethod: agent }
  const one = `${at}: ${at} must have exactly one access credential type set`
  assert.deepEqual(problems({}), [one])
  assert.deepEqual(problems({ sshPublicKey: key, userPassword: key }), [one])
  assert.deepEqual(problems({ sshPublicKey: { source: {}, propagationMethod: agent } }), [
    `${at}.sshPublicKey.source: ${at} must have exactly one source set`,
  ])
  assert.deepEqual(problems({ userPassword: { source: secret, propagationMethod: {} } }), [
    `${at}.userPassword.propagationMethod: ${at} must have exactly one propagationMethod set`,
  ])
})

test('keys through the agent are for somebody', () => {
  const at = 'spec.accessCredentials[0]'
  assert.deepEqual(
    problems({ sshPublicKey: { source: secret, propagationMethod: { qemuGuestAgent: { users: [] } } } }),
    [
      `${at}.sshPublicKey.propagationMethod.qemuGuestAgent.users: ${at} requires at least one user to be present in the users list`,
    ],
  )
})

test('keys on a cloud-init volume need the volume', () => {
  const at = 'spec.accessCredentials[0]'
  for (const [method, volume] of [
    ['noCloud', 'cloudInitNoCloud'],
    ['configDrive', 'cloudInitConfigDrive'],
  ] as const) {
    const credential = { sshPublicKey: { source: secret, propagationMethod: { [method]: {} } } }
    assert.deepEqual(problems(credential, [{ name: 'seed', [volume]: {} }]), [])
    assert.deepEqual(problems(credential), [
      `${at}.sshPublicKey.propagationMethod: ${at} requires a ${method} volume to exist when the ${method} propagationMethod is in use.`,
    ])
  }
})
