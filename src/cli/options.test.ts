import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configOf, parseListen, parseMaxPods } from './options.ts'
import { CommandError } from './output.ts'

test('an address to listen on', () => {
  assert.deepEqual(parseListen('127.0.0.1:6443'), { host: '127.0.0.1', port: 6443 })
  assert.deepEqual(parseListen(':6443'), { host: '0.0.0.0', port: 6443 })
  assert.deepEqual(parseListen('6443'), { host: '0.0.0.0', port: 6443 })
  assert.deepEqual(parseListen('[::1]:6443'), { host: '::1', port: 6443 })
  for (const wrong of ['', 'localhost', '127.0.0.1:', '127.0.0.1:0', '127.0.0.1:65536', '::1:6443'])
    assert.throws(() => parseListen(wrong), CommandError, wrong)
})

test('how many Pods the node takes', () => {
  assert.equal(parseMaxPods('250'), 250)
  for (const wrong of ['0', '-1', 'many', '1.5']) assert.throws(() => parseMaxPods(wrong), CommandError, wrong)
})

test('two state directories are two instances', () => {
  const one = configOf({ stateDir: '/var/lib/one' })
  const two = configOf({ stateDir: '/var/lib/two' })
  assert.notEqual(one.instance, two.instance)
  assert.match(one.instance, /^[0-9a-f]{4}$/)
  assert.equal(configOf({ stateDir: '/var/lib/one/' }).instance, one.instance)
})
