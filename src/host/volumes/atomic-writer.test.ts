import assert from 'node:assert/strict'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { checkPath, type Payload, writePayload } from './atomic-writer.ts'

// Hooks outside of a suite would run for the tests of every other file too.
describe('files written at once', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'tandem-writer-'))
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  const payload = (files: Record<string, string>, mode = 0o644): Payload =>
    new Map(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode }]))
  const read = (path: string) => readFileSync(join(dir, path), 'utf8')
  const visible = () =>
    readdirSync(dir)
      .filter((name) => !name.startsWith('..'))
      .sort()
  const generations = () => readdirSync(dir).filter((name) => name.startsWith('..2'))

  test('files are links through ..data, which is one link', () => {
    assert.equal(writePayload(dir, payload({ 'a.conf': '1', 'sub/b': '2' })), true)
    assert.equal(read('a.conf'), '1')
    assert.equal(read('sub/b'), '2')
    assert.equal(readlinkSync(join(dir, 'a.conf')), '..data/a.conf')
    assert.ok(lstatSync(join(dir, '..data')).isSymbolicLink())
  })

  test('the same content is left alone; other content replaces everything at once', () => {
    writePayload(dir, payload({ a: '1', b: '2' }))
    const first = readlinkSync(join(dir, '..data'))
    assert.equal(writePayload(dir, payload({ a: '1', b: '2' })), false)
    assert.equal(readlinkSync(join(dir, '..data')), first)
    assert.equal(writePayload(dir, payload({ a: '3', c: '4' })), true)
    assert.deepEqual(visible(), ['a', 'c'])
    assert.equal(read('a'), '3')
    assert.equal(generations().length, 1, 'the old generation is removed')
  })

  test('another mode alone is a change', () => {
    writePayload(dir, payload({ a: '1' }))
    assert.equal(writePayload(dir, payload({ a: '1' }, 0o400)), true)
    assert.equal(statSync(join(dir, 'a')).mode & 0o777, 0o400)
  })

  test('what a crash left is cleared away, and a link that went missing comes back', () => {
    writePayload(dir, payload({ a: '1' }))
    mkdirSync(join(dir, '..2020_01_01_00_00_00.abcdef'))
    symlinkSync('..nowhere', join(dir, '..data_tmp'))
    rmSync(join(dir, 'a'))
    assert.equal(writePayload(dir, payload({ a: '1' })), false)
    assert.equal(read('a'), '1')
    writePayload(dir, payload({ a: '2' }))
    assert.equal(generations().length, 1)
  })

  test('no path leads out of the volume (S12)', () => {
    const canary = join(dir, 'canary')
    mkdirSync(join(dir, 'volume'))
    writeFileSync(canary, 'safe')
    for (const path of ['../canary', '/etc/x', 'a/../../canary', '..data', '..x/y', '', 'a//b', './a', 'a/\0b']) {
      assert.throws(() => checkPath(path), /invalid path/, path)
      assert.throws(() => writePayload(join(dir, 'volume'), payload({ [path]: 'evil' })), /invalid path/)
    }
    assert.equal(readFileSync(canary, 'utf8'), 'safe')
    checkPath('a/..b/c..d')
  })

  test('an empty payload is an empty volume', () => {
    writePayload(dir, payload({ a: '1' }))
    writePayload(dir, new Map())
    assert.deepEqual(visible(), [])
  })
})
