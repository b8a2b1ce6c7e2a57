import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isApiError } from '../../api/errors.ts'
import type { StoredObject } from '../../api/meta.ts'
import { containerOf, execOptions, logOptions, machinePort } from './target.ts'

const pod = (...names: string[]): StoredObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'default', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
  spec: { containers: names.map((name) => ({ name })), initContainers: [{ name: 'setup' }] },
})

const query = (text: string) => new URLSearchParams(text)

test('the container is the named one, the only one, or has to be named', () => {
  assert.equal(containerOf(pod('a'), null), 'a')
  assert.equal(containerOf(pod('a', 'b'), 'b'), 'b')
  assert.equal(containerOf(pod('a'), 'setup'), 'setup')
  assert.throws(() => containerOf(pod('a'), 'x'), /container x is not valid for pod web/)
  assert.throws(
    () => containerOf(pod('a', 'b'), null),
    /a container name must be specified for pod web, choose one of: \[a b\] or one of the init containers: \[setup\]/,
  )
})

test('exec needs a command and a stream; a tty has no stderr of its own', () => {
  const options = execOptions(pod('a'), query('command=sh&command=-c&stdin=true&stdout=1&stderr=true&tty=true'), false)
  assert.deepEqual(options, {
    container: 'a',
    command: ['sh', '-c'],
    stdin: true,
    stdout: true,
    stderr: false,
    tty: true,
  })
  assert.throws(() => execOptions(pod('a'), query('stdout=true'), false), /at least 1 command/)
  assert.throws(() => execOptions(pod('a'), query('command=ls'), false), /at least 1 of stdin, stdout, stderr/)
})

test('log options are numbers where they should be', () => {
  assert.deepEqual(logOptions(pod('a'), query('follow=true&tailLines=0&sinceSeconds=5')), {
    container: 'a',
    follow: true,
    tailLines: 0,
    sinceSeconds: 5,
  })
  for (const wrong of [
    'tailLines=-1',
    'limitBytes=0',
    'sinceSeconds=x',
    'sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z',
  ])
    assert.throws(
      () => logOptions(pod('a'), query(wrong)),
      (error) => isApiError(error, 'Invalid'),
      wrong,
    )
})

test('a port of a VM', () => {
  assert.deepEqual(machinePort(['22']), { port: 22, protocol: 'tcp' })
  assert.deepEqual(machinePort(['53', 'udp']), { port: 53, protocol: 'udp' })
  assert.throws(() => machinePort(['99999']), /is not a port/)
  assert.throws(() => machinePort(['22', 'icmp']), /neither tcp nor udp/)
})
