import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { extractDisk } from './layer-disk.ts'
import { type FixtureEntry, inPieces, tarOf } from './tar.fixture.ts'

const root = mkdtempSync(join(tmpdir(), 'layer-disk-'))
after(() => rmSync(root, { recursive: true }))
const limits = { bytes: 1e7, entries: 1000, written: 1e6 }

function extract(layers: FixtureEntry[][], path?: string, within = limits) {
  const directory = mkdtempSync(join(root, 'x-'))
  return extractDisk(
    layers.map((entries) => inPieces(tarOf(...entries))),
    path,
    directory,
    within,
  ).then(({ file, name }) => ({ name, content: readFileSync(file, 'latin1'), file }))
}

const disk = (content: string, name = 'disk/a.img'): FixtureEntry => ({ name, content })

test('the one file in /disk', async () => {
  const { name, content } = await extract([[{ name: 'disk/', flag: '5' }, disk('first'), { name: 'etc/passwd' }]])
  assert.deepEqual([name, content], ['/disk/a.img', 'first'])
})

test('a later layer replaces the file; a whiteout removes it', async () => {
  assert.equal((await extract([[disk('old')], [disk('new')]])).content, 'new')
  const replaced = await extract([[disk('old')], [{ name: 'disk/.wh.a.img' }, disk('other', 'disk/b.img')]])
  assert.deepEqual([replaced.name, replaced.content], ['/disk/b.img', 'other'])
  const opaque = await extract([[disk('old')], [{ name: 'disk/.wh..wh..opq' }, disk('other', 'disk/b.img')]])
  assert.equal(opaque.content, 'other')
  await assert.rejects(extract([[disk('old')], [{ name: '.wh.disk' }]]), /no file in \/disk/)
})

test('a whiteout does not hide what its own layer brings', async () => {
  assert.equal(
    (await extract([[disk('x', 'disk/b.img')], [disk('new'), { name: 'disk/.wh..wh..opq' }]])).content,
    'new',
  )
})

test('path names one of several files, anywhere in the image', async () => {
  const layers = [[disk('a'), disk('b', 'disk/b.img'), disk('c', 'images/deep/c.img')]]
  assert.equal((await extract(layers, '/disk/b.img')).content, 'b')
  assert.equal((await extract(layers, 'images/deep/c.img')).content, 'c')
  await assert.rejects(extract(layers), /more than one file in \/disk \(\/disk\/a.img, \/disk\/b.img\)/)
  await assert.rejects(extract(layers, '/nothing'), /no file \/nothing/)
  await assert.rejects(extract(layers, '/../../etc/shadow'), /no file \/etc\/shadow/)
})

test('zeros become holes', async () => {
  const big = Buffer.alloc(40 * 65536)
  big.write('end', big.length - 3)
  const { file } = await extract([[{ name: 'disk/a.img', content: big }]], undefined, { ...limits, written: 70_000 })
  assert.equal(statSync(file).size, big.length)
  assert.ok(readFileSync(file).equals(big))
})

const refused: [what: string, layers: FixtureEntry[][], message: RegExp][] = [
  ['an image without /disk', [[{ name: 'bin/sh', content: '#!' }]], /not a containerDisk image/],
  ['a symlink as disk', [[{ name: 'disk/a.img', flag: '2', linkName: '/etc/shadow' }]], /is a symlink/],
  ['a hard link as disk', [[{ name: 'disk/a.img', flag: '1', linkName: 'etc/shadow' }]], /is a link/],
  ['a device as disk', [[{ name: 'disk/a.img', flag: '4' }]], /is a device/],
  ['/disk as a symlink', [[{ name: 'disk', flag: '2', linkName: '/etc' }, disk('x', 'disk/passwd')]], /is a link/],
  ['a folder swapped for a link', [[disk('x')], [{ name: 'disk', flag: '2', linkName: '/etc' }]], /is a link/],
  ['a name with ..', [[disk('x', 'disk/../../canary')]], /points outside/],
  ['a disk above the space for it', [[disk('x'.repeat(1_100_000))]], /larger than the space/],
]
for (const [what, layers, message] of refused) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(extract(layers), message)
    assert.ok(!existsSync(join(root, 'canary')))
  })
}
