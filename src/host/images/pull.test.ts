import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { checkedImageName } from './containerd-images.ts'
import { authsFor } from './pull-auth.ts'
import { allowPlainHttp, isLoopback, registryOf } from './registry-hosts.ts'

const root = mkdtempSync(join(tmpdir(), 'pull-'))
after(() => rmSync(root, { recursive: true }))

test('image names', () => {
  assert.equal(checkedImageName('nginx'), 'docker.io/library/nginx:latest')
  assert.equal(checkedImageName('127.0.0.1:5000/a/b:1'), '127.0.0.1:5000/a/b:1')
  for (const bad of ['', 'UPPER', 'a b', 'x:', '-x', '../x', 'a//b', 'x@sha256:12', 'x\n', `${'a'.repeat(600)}`])
    assert.throws(() => checkedImageName(bad), { name: 'ImageError', reason: 'InvalidImageName' }, bad)
})

test('credentials go to their own registry only, the most specific first', () => {
  const auths = [
    { serverAddress: 'https://index.docker.io/v1/', username: 'hub' },
    { serverAddress: 'registry.example.com', username: 'all' },
    { serverAddress: 'https://registry.example.com/team', username: 'team' },
    { serverAddress: '*.example.org:5000', username: 'star' },
    { username: 'no server' },
  ]
  const users = (name: string) => authsFor(name, auths).map(({ username }) => username)
  assert.deepEqual(users('docker.io/library/nginx:1'), ['hub'])
  assert.deepEqual(users('registry.example.com/team/app:1'), ['team', 'all'])
  assert.deepEqual(users('registry.example.com/teamwork/app:1'), ['all'])
  assert.deepEqual(users('a.example.org:5000/x:1'), ['star'])
  assert.deepEqual(users('a.b.example.org:5000/x:1'), [])
  assert.deepEqual(users('registry.example.com.evil.net/x:1'), [])
  assert.equal(authsFor('docker.io/x:1', auths)[0]!.serverAddress, undefined)
})

test('only loopback registries may be spoken to without TLS', async () => {
  assert.deepEqual(['localhost', 'localhost:5000', '127.0.0.1:80', '127.9.9.9'].map(isLoopback), [
    true,
    true,
    true,
    true,
  ])
  assert.deepEqual(['127.0.0.1.evil.net', 'localhost.evil.net:1', '10.0.0.1:5000'].map(isLoopback), [
    false,
    false,
    false,
  ])
  await allowPlainHttp(root, registryOf('127.0.0.1:5000/a:1'))
  assert.match(readFileSync(join(root, '127.0.0.1_5000_', 'hosts.toml'), 'utf8'), /^server = "http:\/\/127.0.0.1:5000"/)
})
