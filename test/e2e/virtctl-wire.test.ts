// virtctl 1.9 by its wire form: the requests that its commands send, as recorded from it, in its order: bodies without a
// Content-Type, streams over WebSocket with plain.kubevirt.io. Where each command is tested:
//   here: credentials (add-ssh-key, remove-ssh-key, set-password), ssh, scp and port-forward (they send the same), also of
//   UDP, start --paused, stop --force, restart --force, soft-reboot, reset, console to its end, migrate, migrate-cancel,
//   permitted-devices, version;
//   virtual-machines: start, stop, restart, pause, unpause, console; hotplug: addvolume, removevolume;
//   virtctl-exports: vmexport, guestfs, usbredir, objectgraph, adm, create vm; data-volumes: image-upload.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import WebSocket from 'ws'
import type { ApiRequest, ApiResponse } from '../../src/api/exchange.ts'
import type { StoredObject } from '../../src/api/meta.ts'
import { createHttpsTransport, type HttpsTransport } from '../../src/client/https.ts'
import { accessFromKubeconfig, type ServerAccess } from '../../src/client/kubeconfig.ts'
import { agentGuest, buildAgentGuest } from './agent-guest.fixture.ts'
import { type GuestShell, openShell } from './console.fixture.ts'
import { rootDisk, smallGuest } from './guest.fixture.ts'
import { startTandem, type TestTandem, until } from './tandem.fixture.ts'

const group = '/apis/subresources.kubevirt.io'
const machinesPath = '/apis/kubevirt.io/v1/namespaces/default/virtualmachines'
const instancesPath = '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstances'
const migrationsPath = '/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstancemigrations'
const configurationPath = '/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts/kubevirt'
const secretsPath = '/api/v1/namespaces/default/secrets'
const jsonPatch = 'application/json-patch+json'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const text = (coded: string) => Buffer.from(coded, 'base64').toString()
const firstKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDj1lOoZmJP1K1e8gXaT0mPrmrAqwx0FfHbu8iSFP4cg alice@one'
const secondKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFbWuO5x1ogzHnyT8nWd/npIIKCZPOlu9Rsogb3lIi2m alice@two'

const machine = {
  apiVersion: 'kubevirt.io/v1',
  kind: 'VirtualMachine',
  metadata: { name: 'web' },
  spec: {
    runStrategy: 'Halted',
    template: {
      spec: {
        terminationGracePeriodSeconds: 600,
        ...smallGuest(rootDisk(agentGuest)),
      },
    },
  },
}

interface Stream {
  socket: WebSocket
  /** The messages as they came. */
  messages: string[]
  /** All that came, until it ended with this code. */
  ended: Promise<{ code: number; received: string }>
}

describe('virtctl by its wire form', () => {
  let tandem: TestTandem
  let access: ServerAccess
  let api: HttpsTransport
  let shell: GuestShell | undefined

  /** With the body as virtctl sends it to a subresource: nothing says what it is. */
  async function call(
    method: ApiRequest['method'],
    target: string,
    body?: object,
    type?: string,
  ): Promise<ApiResponse> {
    const [path = '', query] = target.split('?')
    const headers = { accept: 'application/json, */*', ...(type && { 'content-type': type }) }
    return await api.transport({
      method,
      path,
      query: new URLSearchParams(query),
      headers,
      ...(body && { body }),
    })
  }

  async function object(path: string): Promise<StoredObject> {
    const answer = await call('GET', path)
    assert.equal(answer.status, 200, JSON.stringify(answer.object))
    return answer.object as StoredObject
  }

  async function put(kind: 'virtualmachines' | 'virtualmachineinstances', verb: string, body?: object) {
    const { status, object } = await call('PUT', `${group}/v1/namespaces/default/${kind}/web/${verb}`, body)
    return { code: status, message: (object as { message?: string } | undefined)?.message }
  }

  const untilShown = (status: string) =>
    until(status, async () => (await object(`${machinesPath}/web`)).status?.printableStatus === status)

  /** @throws Error with the code and the message of an answer that is no stream. */
  function stream(path: string): Promise<Stream> {
    const url = `${access.server.replace(/^http/, 'ws')}${group}/v1/namespaces/default/${path}`
    const { ca, clientCertificate: cert, clientKey: key } = access
    const socket = new WebSocket(url, 'plain.kubevirt.io', { ca, cert, key })
    const messages: string[] = []
    socket.on('message', (data, isBinary) => {
      assert.ok(isBinary)
      messages.push(data.toString())
    })
    return new Promise((resolve, reject) => {
      const ended = new Promise<{ code: number; received: string }>((end) =>
        socket.on('close', (code) => end({ code, received: messages.join('') })),
      )
      socket.on('open', () => resolve({ socket, messages, ended }))
      socket.on('error', reject)
      socket.on('unexpected-response', (_request, answer) => {
        let body = ''
        answer.on('data', (chunk) => {
          body += chunk
        })
        answer.on('end', () => reject(new Error(`${answer.statusCode} ${JSON.parse(body).message}`)))
      })
    })
  }

  /** What the guest's agent was told last by this command, for alice. */
  async function told(command: string): Promise<any> {
    const lines = (await shell!.run('cat /tmp/told 2> /dev/null || true')).split('\n')
    const commands = lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
    return commands.findLast((one) => one.execute === command && one.arguments.username === 'alice')?.arguments
  }

  before(async () => {
    tandem = await startTandem()
    access = accessFromKubeconfig(readFileSync(tandem.kubeconfig, 'utf8'))
    api = createHttpsTransport(access)
    await buildAgentGuest(tandem, { perl: true })
    await tandem.apply([machine, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'words' } }])
  })

  after(async () => {
    shell?.close()
    api?.close()
    await tandem?.close()
  })

  test('version, permitted-devices', async () => {
    const answer = (await call('GET', group)).object as any
    assert.deepEqual(answer.preferredVersion, { groupVersion: 'subresources.kubevirt.io/v1', version: 'v1' })
    const version = (await call('GET', `${group}/v1/version`)).object as any
    assert.match(version.gitVersion, /^v1\.\d+\.\d+/)
    const { items } = (await call('GET', '/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts')).object as any
    assert.ok(items[0].spec.configuration, 'virtctl reads the devices out of it')
  })

  test('credentials add-ssh-key: a new Secret of the machine, named in its template', async () => {
    const { metadata } = await object(`${machinesPath}/web`)
    assert.equal((await call('GET', `${instancesPath}/web`)).status, 404, 'a machine that runs would need --force')
    const owner = { apiVersion: 'kubevirt.io/v1', kind: 'VirtualMachine', name: 'web', uid: metadata.uid }
    const secret = {
      metadata: { generateName: 'web-ssh-key-', ownerReferences: [{ ...owner, controller: true }] },
      data: { 'ssh-key-aaaaaa': base64(firstKey) },
    }
    const created = await call('POST', secretsPath, { apiVersion: 'v1', kind: 'Secret', ...secret }, 'application/json')
    assert.equal(created.status, 201)
    const { name } = (created.object as StoredObject).metadata
    const path = '/spec/template/spec/accessCredentials'
    const source = { secret: { secretName: name } }
    const value = { sshPublicKey: { source, propagationMethod: { qemuGuestAgent: { users: ['alice'] } } } }
    const add = { op: 'add', path: `${path}/-`, value }
    const first = await call('PATCH', `${machinesPath}/web`, [add], jsonPatch)
    assert.equal(first.status, 422, 'there is no list yet')
    const whole = [{ op: 'test', path, value: null }, { op: 'add', path, value: [] }, add]
    assert.equal((await call('PATCH', `${machinesPath}/web`, whole, jsonPatch)).status, 200)
    const password = { source: { secret: { secretName: 'words' } }, propagationMethod: { qemuGuestAgent: {} } }
    const second = [{ op: 'add', path: `${path}/-`, value: { userPassword: password } }]
    assert.equal((await call('PATCH', `${machinesPath}/web`, second, jsonPatch)).status, 200)
  })

  test('start --paused, console and port-forward of a paused machine, unpause', async () => {
    await assert.rejects(stream('virtualmachineinstances/web/console'), /^Error: 404 .*"web" not found/)
    assert.equal((await put('virtualmachines', 'start', { paused: true })).code, 202)
    await untilShown('Paused')
    await assert.rejects(stream('virtualmachines/web/portforward/80/tcp'), /^Error: 409 .*VMI is paused/)
    const { socket } = await stream('virtualmachineinstances/web/console')
    socket.terminate()
    assert.equal((await put('virtualmachineinstances', 'unpause', {})).code, 200)
    shell = await openShell(tandem.kubeconfig, 'web')
  })

  test('credentials: the guest has the keys, and says so', async () => {
    await until('the credentials are there', async () => {
      const { conditions } = (await object(`${instancesPath}/web`)).status!
      return conditions.some((one: any) => one.type === 'AccessCredentialsSynchronized' && one.status === 'True')
    })
    assert.deepEqual(await told('guest-ssh-add-authorized-keys'), { username: 'alice', keys: [firstKey], reset: true })
    const found = await until('an event says so', async () => {
      const events = (await object('/api/v1/namespaces/default/events')) as any
      return events.items.find((one: any) => one.reason === 'AccessCredentialsSyncSuccess')
    })
    assert.equal(found.message, 'Access credentials sync successful.')
  })

  test('credentials add-ssh-key, set-password, remove-ssh-key: changed Secrets reach the guest that runs', async () => {
    const { spec } = (await object(`${machinesPath}/web`)) as any
    const { secretName } = spec.template.spec.accessCredentials[0].sshPublicKey.source.secret
    const add = [{ op: 'add', path: '/data/ssh-key-bbbbbb', value: base64(secondKey) }]
    assert.equal((await call('PATCH', `${secretsPath}/${secretName}`, add, jsonPatch)).status, 200)
    const password = { op: 'add', path: '/data/alice', value: base64('geheim') }
    assert.equal((await call('PATCH', `${secretsPath}/words`, [password], jsonPatch)).status, 422, 'no data yet')
    const whole = [{ op: 'test', path: '/data', value: null }, { op: 'add', path: '/data', value: {} }, password]
    assert.equal((await call('PATCH', `${secretsPath}/words`, whole, jsonPatch)).status, 200)
    await until('both keys', async () => (await told('guest-ssh-add-authorized-keys')).keys.length === 2)
    await until('the password', async () => (await told('guest-set-user-password')) !== undefined)
    const given = await told('guest-set-user-password')
    assert.deepEqual(
      { ...given, password: text(given.password) },
      { username: 'alice', password: 'geheim', crypted: false },
    )
    const secret = (await object(`${secretsPath}/${secretName}`)) as any
    delete secret.data['ssh-key-aaaaaa']
    assert.equal((await call('PUT', `${secretsPath}/${secretName}`, secret, 'application/json')).status, 200)
    await until('one key', async () => (await told('guest-ssh-add-authorized-keys')).keys.length === 1)
    assert.deepEqual((await told('guest-ssh-add-authorized-keys')).keys, [secondKey])
  })

  test('port-forward, which ssh and scp use: of the machine and of its instance, to its end', async () => {
    for (const kind of ['virtualmachines', 'virtualmachineinstances']) {
      const { socket, ended } = await stream(`${kind}/web/portforward/80/tcp`)
      assert.equal(socket.protocol, 'plain.kubevirt.io')
      socket.send(Buffer.from('GET / HTTP/1.0\r\n\r\n'))
      const { code, received } = await ended
      assert.match(received, /Hello from the VM/)
      assert.equal(code, 1000, 'virtctl ends well only then')
    }
    await assert.rejects(stream('virtualmachines/web/portforward/81/tcp'), /^Error: 500 .*ECONNREFUSED/)
    await assert.rejects(stream('virtualmachines/web/portforward/80/sctp'), /^Error: 400 /)
    const { socket, ended } = await stream('virtualmachines/web/portforward/81/udp')
    socket.send(Buffer.from('nobody listens: the guest says so'))
    assert.deepEqual(await ended, { code: 1000, received: '' })
  })

  test('port-forward udp/…: a message is a datagram, a stream is a client', async () => {
    const echo = 'while (defined($from = recv(S, $said, 2000, 0))) { send(S, uc $said, 0, $from) }'
    const listen = 'socket(S, 2, 2, 17) && bind(S, pack("Sna4x8", 2, 53, "\\0" x 4)) or die $!; print "listens\\n"'
    await shell!.run(`cd /tmp; echo '$| = 1; ${listen}; ${echo}' > echo.pl; (perl echo.pl > echo.log 2>&1 &)`)
    await until('the guest listens', async () => (await shell!.run('cat /tmp/echo.log || :')) === 'listens')
    const clients = await Promise.all(['one', 'two'].map(() => stream('virtualmachines/web/portforward/53/udp')))
    const long = 'x'.repeat(1400)
    for (const [index, { socket }] of clients.entries())
      for (const said of [`first of ${index}`, `second of ${index}`, long]) socket.send(Buffer.from(said))
    await until('every answer', () => clients.every(({ messages }) => messages.length === 3))
    for (const [index, { socket, messages, ended }] of clients.entries()) {
      assert.deepEqual(messages, [`FIRST OF ${index}`, `SECOND OF ${index}`, long.toUpperCase()])
      socket.close(1000)
      await ended
    }
  })

  test('soft-reboot, reset: the same instance, its guest anew', async () => {
    const { metadata } = await object(`${instancesPath}/web`)
    const boots = [await shell!.run('cat /proc/sys/kernel/random/boot_id')]
    // Its agent cannot shut it down: its power button is pressed.
    for (const verb of ['softreboot', 'reset']) {
      assert.equal((await put('virtualmachineinstances', verb)).code, 200, verb)
      await shell!.expect(/tandem-minimal: ready/)
      await shell!.expect(/[#$] .{0,4}$/, { again: '\r' })
      boots.push(await shell!.run('cat /proc/sys/kernel/random/boot_id'))
    }
    assert.equal(new Set(boots).size, 3, boots.join())
    const now = await object(`${instancesPath}/web`)
    assert.deepEqual([now.metadata.uid, now.status!.phase], [metadata.uid, 'Running'])
  })

  test('migrate, migrate-cancel: the guest stays where it is', async () => {
    // So slow that it cannot be over before it is cancelled.
    const configuration = { migrations: { bandwidthPerMigration: '64Ki' } }
    const slowed = await call('PATCH', configurationPath, { spec: { configuration } }, 'application/merge-patch+json')
    assert.equal(slowed.status, 200, JSON.stringify(slowed.object))
    assert.equal((await put('virtualmachines', 'migrate', {})).code, 202)
    const listed = await call('GET', `${migrationsPath}?labelSelector=kubevirt.io%2Fvmi-name%3D%3Dweb`)
    const [migration] = (listed.object as any).items
    assert.ok(!['Succeeded', 'Failed'].includes(migration.status?.phase), 'virtctl looks for one that is not over')
    const path = `${migrationsPath}/${migration.metadata.name}`
    assert.equal(
      (await call('DELETE', path, { kind: 'DeleteOptions', apiVersion: 'v1' }, 'application/json')).status,
      200,
    )
    await until('the migration is gone', async () => (await call('GET', path)).status === 404)
    const { migrationState } = (await object(`${instancesPath}/web`)).status!
    assert.ok(!migrationState || migrationState.failed, JSON.stringify(migrationState))
    await shell!.run('true')
  })

  test('stop --force ends the console, restart --force makes a new instance', async () => {
    const { ended } = await stream('virtualmachineinstances/web/console')
    const before = (await object(`${instancesPath}/web`)).metadata.uid
    assert.match(
      (await put('virtualmachines', 'restart', { gracePeriodSeconds: 5 })).message ?? '',
      /only gracePeriod=0/,
    )
    assert.equal((await put('virtualmachines', 'restart', { gracePeriodSeconds: 0 })).code, 202)
    assert.equal((await ended).code, 1006, 'virtctl tells its user what may have happened only then')
    await until('a new instance runs', async () => {
      const { status, object } = await call('GET', `${instancesPath}/web`)
      const now = object as StoredObject
      return status === 200 && now.metadata.uid !== before && now.status?.phase === 'Running'
    })
    assert.equal((await put('virtualmachines', 'stop', { gracePeriod: 0 })).code, 202)
    await untilShown('Stopped')
    const again = await put('virtualmachines', 'stop', {})
    assert.equal(again.code, 409)
    assert.match(again.message ?? '', /VM is not running/)
  })
})
