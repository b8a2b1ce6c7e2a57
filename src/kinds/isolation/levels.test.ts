// What a class gives and what a Pod takes back; patterns of policies.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchesGlob } from './glob.ts'
import { hostAccess, isBelow, levelOfClass, levels } from './levels.ts'

const runtimeClass = (handler: string, metadata: object = {}) => ({
  apiVersion: 'node.k8s.io/v1',
  kind: 'RuntimeClass',
  metadata: { name: 'x', ...metadata },
  handler,
})

test('the level of a class is what is said of it, else what its handler is known for', () => {
  const known: Record<string, string> = {
    runc: 'container',
    crun: 'container',
    runsc: 'sandboxed',
    gvisor: 'sandboxed',
    wasm: 'sandboxed',
    kata: 'microvm',
    'kata-fc': 'microvm',
    'kata-clh': 'microvm',
    microvm: 'microvm',
    firecracker: 'microvm',
    // Nobody knows these.
    mine: 'container',
    katapult: 'container',
    runscape: 'container',
  }
  for (const [handler, level] of Object.entries(known))
    assert.equal(levelOfClass(runtimeClass(handler)), level, handler)
  const key = 'isolation.tandem.dev/level'
  assert.equal(levelOfClass(runtimeClass('mine', { labels: { [key]: 'vm' } })), 'vm')
  assert.equal(levelOfClass(runtimeClass('mine', { annotations: { [key]: 'microvm' } })), 'microvm')
  assert.equal(levelOfClass(runtimeClass('mine', { labels: { [key]: 'loose' } })), 'container')
})

test('the levels have an order', () => {
  for (const [index, level] of levels.entries())
    for (const [other, wanted] of levels.entries()) assert.equal(isBelow(level, wanted), index < other)
})

test('what shares the machine is named', () => {
  assert.deepEqual(hostAccess({ containers: [{ name: 'a', securityContext: { privileged: false } }] }), [])
  assert.deepEqual(
    hostAccess({
      hostNetwork: true,
      hostPID: true,
      hostIPC: false,
      initContainers: [{ name: 'i', securityContext: { privileged: true } }],
      ephemeralContainers: [{ name: 'e', securityContext: { privileged: true } }],
    }),
    ['hostNetwork=true', 'hostPID=true', 'privileged=true of container "i"', 'privileged=true of container "e"'],
  )
})

test('a star is any text, everything else is itself', () => {
  const yes: [string, string][] = [
    ['a', 'a'],
    ['*', ''],
    ['*', 'a/b:c'],
    ['a*', 'a'],
    ['a*c', 'abbc'],
    ['*/nginx:*', 'docker.io/library/nginx:1'],
    ['a*b*c', 'axbxbc'],
    ['a**c', 'ac'],
  ]
  const no: [string, string][] = [
    ['a', 'ab'],
    ['a*a', 'a'],
    ['a*b*b', 'ab'],
    ['a.c', 'abc'],
    ['', 'a'],
    ['*b', 'ab/'],
  ]
  for (const [pattern, text] of yes) assert.equal(matchesGlob(pattern, text), true, `${pattern} ${text}`)
  for (const [pattern, text] of no) assert.equal(matchesGlob(pattern, text), false, `${pattern} ${text}`)
  // As long as it is, it is quick.
  assert.equal(matchesGlob(`${'*a'.repeat(250)}b`, 'a'.repeat(100_000)), false)
})
