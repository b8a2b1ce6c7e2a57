import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import type { Client } from '../../client/client.ts'
import type { Agent } from './agent.ts'
import { credentialsCondition, credentialsIn, keepCredentials } from './credentials.ts'
import { type Machine, newMachine } from './machine.ts'

const coded = (data: Record<string, string>) =>
  Object.fromEntries(Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString('base64')]))

const key = (secretName: string, ...users: string[]) => ({
  sshPublicKey: { source: { secret: { secretName } }, propagationMethod: { qemuGuestAgent: { users } } },
})
const password = (secretName: string) => ({
  userPassword: { source: { secret: { secretName } }, propagationMethod: { qemuGuestAgent: {} } },
})

/** A machine with an agent that writes down what it is told, and a clock that stands. */
function room(accessCredentials: object[], status?: object) {
  const secrets: Record<string, Record<string, string>> = { keys: { a: 'ssh-ed25519 A\n\n ssh-rsa B \n' } }
  const told: any[] = []
  const events: string[] = []
  const refusing = new Set<string>()
  const state = { now: 1_000_000, done: () => {} }
  const agent: Agent = {
    closed: false,
    async execute(command, args: any) {
      if (refusing.has(args.username)) throw new Error('the guest agent says: no such user')
      told.push([command, args])
      return undefined as any
    },
    close() {},
  }
  const machine: Machine = { ...newMachine('/m', { uid: 'u', namespace: 'n', name: 'm' }), agent, agentOpen: true }
  const client = {
    async get(_ref: unknown, name: string, namespace: string) {
      assert.equal(namespace, 'n')
      if (!secrets[name]) throw new ApiError('NotFound', `secrets "${name}" not found`)
      return { data: coded(secrets[name]) }
    },
  } as unknown as Client
  const metadata = { name: 'm', namespace: 'n', uid: 'u' }
  const object = { metadata, spec: { domain: {}, accessCredentials }, status } as unknown as StoredObject
  const rooms = {
    client,
    observer: { log: undefined as any, changed: () => state.done(), ended() {} },
    now: () => state.now,
    record: (_object: unknown, ...event: string[]) => events.push(event.join(' ')),
  }
  /** One look, that long after the last. */
  async function look(laterMs = 0): Promise<any[]> {
    state.now += laterMs
    const finished = new Promise<void>((resolve) => {
      state.done = resolve
    })
    keepCredentials(rooms, machine, object)
    if (machine.credentials?.working) await finished
    return told.splice(0)
  }
  return {
    machine,
    secrets,
    events,
    refusing,
    state,
    look,
    condition: () => credentialsCondition(machine.credentials?.told),
  }
}

const keysOf = (username: string, ...keys: string[]) => [
  'guest-ssh-add-authorized-keys',
  { username, keys, reset: true },
]
const passwordOf = (username: string, text: string) => [
  'guest-set-user-password',
  { username, password: Buffer.from(text).toString('base64'), crypted: false },
]
const success = 'Normal AccessCredentialsSyncSuccess Access credentials sync successful.'

test('the guest is told once, and again when a Secret changes or after five minutes', async () => {
  const { look, secrets, machine, state, condition, events } = room([key('keys', 'alice', 'bob'), password('words')])
  secrets.words = { alice: 'geheim\n', bob: ' ' }
  const keys = ['ssh-ed25519 A', 'ssh-rsa B']
  assert.deepEqual(await look(), [keysOf('alice', ...keys), keysOf('bob', ...keys), passwordOf('alice', 'geheim')])
  assert.deepEqual(condition(), { type: 'AccessCredentialsSynchronized', status: 'True' })
  assert.deepEqual(events, [success])
  assert.equal(credentialsIn(machine, state.now), 5_000)
  assert.deepEqual(await look(5_000), [])
  secrets.keys = {}
  assert.deepEqual(await look(5_000), [keysOf('alice'), keysOf('bob'), passwordOf('alice', 'geheim')])
  assert.deepEqual(await look(295_000), [])
  assert.equal((await look(5_000)).length, 3)
  assert.deepEqual(events, [success], 'what stays as it is, is no news')
})

test('keys of several Secrets are together in one file', async () => {
  const { look, secrets } = room([key('keys', 'alice'), key('more', 'alice')])
  secrets.more = { x: 'ssh-rsa C' }
  assert.deepEqual(await look(), [keysOf('alice', 'ssh-ed25519 A', 'ssh-rsa B', 'ssh-rsa C')])
})

test('what fails is told, tried again, and keeps nothing from the others', async () => {
  const { look, secrets, events, refusing, condition } = room([key('keys', 'eve', 'bob'), password('words')])
  refusing.add('eve')
  assert.deepEqual(await look(), [keysOf('bob', 'ssh-ed25519 A', 'ssh-rsa B')])
  const message =
    'secrets "words" not found; Error encountered writing ssh pub key access credentials for user [eve]: ' +
    'the guest agent says: no such user'
  assert.deepEqual(condition(), { type: 'AccessCredentialsSynchronized', status: 'False', message })
  assert.deepEqual(events, [`Warning AccessCredentialsSyncFailed Access credentials sync failed: ${message}`])
  refusing.clear()
  secrets.words = { bob: 'x' }
  assert.deepEqual(await look(14_000), [])
  assert.equal((await look(1_000)).length, 3)
  assert.equal(events.at(-1), success)
})

test('an agent that is not there is waited for, then missed', async () => {
  const { look, machine, state, condition, events } = room([key('keys', 'alice')])
  machine.agentOpen = false
  await look()
  assert.equal(condition(), undefined)
  assert.equal(credentialsIn(machine, state.now), 15_000)
  await look(15_000)
  assert.equal(condition()?.message, 'Guest agent is offline')
  assert.equal(credentialsIn(machine, state.now), undefined)
  machine.agentOpen = true
  assert.equal((await look(1)).length, 1)
  machine.agentOpen = false
  await look(1_000)
  machine.agentOpen = true
  assert.equal((await look(1_000)).length, 1, 'a guest that booted again may have forgotten')
  assert.equal(events.length, 2)
})

test('a paused guest is left alone, one without such credentials costs nothing', async () => {
  const paused = room([key('keys', 'alice')])
  paused.machine.runState = 'paused'
  assert.deepEqual(await paused.look(), [])
  assert.equal(credentialsIn(paused.machine, paused.state.now), undefined)
  const none = room([{ sshPublicKey: { propagationMethod: { noCloud: {} } } }])
  await none.look()
  assert.equal(none.machine.credentials, undefined)
})

test('what a former Tandem told is no news', async () => {
  const conditions = [{ type: 'AccessCredentialsSynchronized', status: 'True' }]
  const { look, events } = room([key('keys', 'alice')], { conditions })
  assert.equal((await look()).length, 1)
  assert.deepEqual(events, [])
})
