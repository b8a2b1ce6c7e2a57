import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inPieces, paxEntry, tarOf } from './tar.fixture.ts'
import { readTar, TarError } from './tar-reader.ts'
import { tarFile } from './tar-writer.ts'

const limits = { bytes: 1e6, entries: 100 }

async function entriesOf(bytes: Buffer, within = limits) {
  const found: { name: string; type: string; content: string }[] = []
  for await (const entry of readTar(inPieces(bytes), within)) {
    const parts: Buffer[] = []
    for await (const part of entry.body()) parts.push(Buffer.from(part))
    found.push({ name: entry.name, type: entry.type, content: Buffer.concat(parts).toString() })
  }
  return found
}

test('files, folders and links come out with their content', async () => {
  const long = `deep/${'x'.repeat(150)}`
  const bytes = tarOf(
    { name: './a/', flag: '5' },
    { name: 'a/file', content: 'y'.repeat(1300) },
    { name: 'a/link', flag: '2', linkName: '/etc/shadow' },
    paxEntry({ path: long }),
    { name: 'short', content: 'long name' },
  )
  assert.deepEqual(await entriesOf(bytes), [
    { name: 'a', type: 'directory', content: '' },
    { name: 'a/file', type: 'file', content: 'y'.repeat(1300) },
    { name: 'a/link', type: 'symlink', content: '' },
    { name: long, type: 'file', content: 'long name' },
  ])
})

test('content that nobody reads is skipped', async () => {
  const names: string[] = []
  const bytes = tarOf({ name: 'a', content: 'z'.repeat(5000) }, { name: 'b' })
  for await (const entry of readTar(inPieces(bytes), limits)) names.push(entry.name)
  assert.deepEqual(names, ['a', 'b'])
})

const bad: [what: string, bytes: Buffer, message: RegExp][] = [
  ['a name with ..', tarOf({ name: 'a/../../etc/passwd' }), /points outside/],
  ['a pax name with ..', tarOf(paxEntry({ path: '../x' }), { name: 'x' }), /points outside/],
  ['text', Buffer.alloc(2048, 'hello '), /not a tar archive/],
  ['a broken checksum', Buffer.concat([tarFile('a', 1).fill('9', 148, 154), Buffer.alloc(1024)]), /not a tar archive/],
  ['an early end', tarOf({ name: 'a', content: 'x'.repeat(600) }).subarray(0, 700), /ends early/],
  ['GNU sparse', tarOf({ name: 'a', flag: 'S' }), /sparse/],
  ['pax sparse', tarOf(paxEntry({ 'GNU.sparse.major': '1' }), { name: 'a' }), /sparse/],
  ['a huge extended header', tarOf({ name: 'p', flag: 'x', size: 2 ** 31 }), /too large/],
  ['a negative pax size', tarOf(paxEntry({ size: '-5' }), { name: 'a' }), /size/],
  ['a pax record that lies', tarOf({ name: 'p', flag: 'x', content: '99 path=x\n' }, { name: 'a' }), /damaged/],
]
for (const [what, bytes, message] of bad) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(entriesOf(bytes), (error) => error instanceof TarError && message.test(error.message))
  })
}

test('stops at the byte limit, whatever the header claims', async () => {
  const bytes = tarOf({ name: 'a', content: Buffer.alloc(50_000) })
  await assert.rejects(entriesOf(bytes, { bytes: 20_000, entries: 10 }), /more than 20000 bytes/)
})

test('stops at the entry limit', async () => {
  const many = tarOf(...Array.from({ length: 30 }, (_, index) => ({ name: `f${index}` })))
  await assert.rejects(entriesOf(many, { bytes: 1e6, entries: 20 }), /more than 20 entries/)
})
