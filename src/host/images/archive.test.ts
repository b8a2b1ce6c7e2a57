import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { importArchive } from './archive.ts'
import { type FixtureEntry, inPieces, tarOf } from './tar.fixture.ts'
import { readTar } from './tar-reader.ts'

const root = mkdtempSync(join(tmpdir(), 'archive-'))
after(() => rmSync(root, { recursive: true }))

const nobody = { import: async () => {}, removeName: async () => {} }
const plainLayer = tarOf({ name: 'bin/sh', content: 'x' })
const digest = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const blob = (bytes: Buffer): FixtureEntry => ({ name: `blobs/sha256/${digest(bytes).slice(7)}`, content: bytes })
const json = (value: unknown) => Buffer.from(JSON.stringify(value))

interface Spoil {
  manifest?: Record<string, unknown>
  annotations?: Record<string, string>
  layer?: Record<string, unknown>
  index?: Record<string, unknown>
  leaveOut?: 'layer' | 'config'
  changeLayer?: boolean
  cmd?: string[]
  layerBytes?: Buffer
}

function layout(spoil: Spoil = {}): Buffer {
  const layer = spoil.layerBytes ?? plainLayer
  const config = json({ config: { Cmd: spoil.cmd ?? ['sh'] }, rootfs: { diff_ids: [digest(layer)] } })
  const manifest = json({
    schemaVersion: 2,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digest(config), size: config.length },
    layers: [
      {
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        digest: digest(layer),
        size: layer.length,
        ...spoil.layer,
      },
    ],
    ...spoil.manifest,
  })
  const top = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: digest(manifest),
    size: manifest.length,
    annotations: spoil.annotations ?? { 'io.containerd.image.name': 'example.com/app:1' },
  }
  const layerEntry = spoil.changeLayer ? { ...blob(layer), content: Buffer.alloc(layer.length, 'z') } : blob(layer)
  return tarOf(
    ...(spoil.leaveOut === 'layer' ? [] : [layerEntry]),
    ...(spoil.leaveOut === 'config' ? [] : [blob(config)]),
    blob(manifest),
    { name: 'unrelated', content: 'not imported' },
    { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
    { name: 'index.json', content: json({ schemaVersion: 2, manifests: [top], ...spoil.index }) },
  )
}

/** What containerd would be given. */
async function load(bytes: Buffer) {
  const path = join(mkdtempSync(join(root, 'a-')), 'image.tar')
  writeFileSync(path, bytes)
  const imported: { names: string[]; index?: string; unpack?: boolean } = { names: [] }
  const loaded = await importArchive(path, {
    removeName: async () => {},
    async import(archive, { unpack }) {
      imported.unpack = unpack
      for await (const entry of readTar(archive, { bytes: 1e9, entries: 1e4 })) {
        imported.names.push(entry.name)
        const parts: Buffer[] = []
        for await (const part of entry.body()) parts.push(Buffer.from(part))
        if (/^(index|manifest).json$/.test(entry.name)) imported.index = Buffer.concat(parts).toString()
      }
    },
  }).catch((error) => {
    assert.deepEqual(imported.names, [], 'a bad archive imports nothing')
    throw error
  })
  return { loaded, imported }
}

test('an OCI layout: only what was checked goes on, under its full name', async () => {
  const { loaded, imported } = await load(layout({ annotations: { 'io.containerd.image.name': 'busybox' } }))
  assert.equal(loaded[0]!.name, 'docker.io/library/busybox:latest')
  assert.match(imported.index!, /docker.io\/library\/busybox:latest/)
  assert.deepEqual(imported.names.slice(0, 2), ['oci-layout', 'index.json'])
  assert.ok(!imported.names.includes('unrelated'))
  assert.equal(imported.names.length, 5)
  assert.equal(imported.unpack, true)
})

test('gzip and zstd', async () => {
  assert.equal((await load(gzipSync(layout()))).loaded[0]!.name, 'example.com/app:1')
  assert.equal((await load(zstdCompressSync(layout()))).loaded[0]!.name, 'example.com/app:1')
})

test('a docker-archive, with layers that are links', async () => {
  const config = json({ config: {}, rootfs: { diff_ids: [digest(plainLayer), digest(plainLayer)] } })
  const bytes = tarOf(
    { name: 'aaa/layer.tar', content: plainLayer },
    { name: 'bbb/layer.tar', flag: '2', linkName: '../aaa/layer.tar' },
    { name: 'config.json', content: config },
    {
      name: 'manifest.json',
      content: json([{ Config: 'config.json', RepoTags: ['app:2'], Layers: ['aaa/layer.tar', 'bbb/layer.tar'] }]),
    },
  )
  const { loaded, imported } = await load(bytes)
  assert.deepEqual(loaded, [{ name: 'docker.io/library/app:2', id: digest(config) }])
  assert.deepEqual(JSON.parse(imported.index!)[0].Layers, ['aaa/layer.tar', 'aaa/layer.tar'])
  assert.equal(imported.unpack, false, 'nothing to run in it: it is a disk')
})

const bad: [what: string, bytes: () => Buffer, message: RegExp][] = [
  ['a missing layer', () => layout({ leaveOut: 'layer' }), /is missing/],
  ['a missing config', () => layout({ leaveOut: 'config' }), /is missing/],
  ['a layer with other bytes', () => layout({ changeLayer: true }), /other content than its digest/],
  ['a wrong size', () => layout({ layer: { size: 5 } }), /its reference says 5/],
  ['an index and an image at once', () => layout({ manifest: { manifests: [] } }), /an index and an image at once/],
  [
    'a media type that lies',
    () => layout({ manifest: { mediaType: 'application/vnd.oci.image.index.v1+json' } }),
    /says/,
  ],
  ['a foreign layer', () => layout({ layer: { urls: ['http://169.254.169.254/'] } }), /foreign layers/],
  ['an unknown layer type', () => layout({ layer: { mediaType: 'text/html' } }), /text\/html are not supported/],
  ['a digest that is a path', () => layout({ layer: { digest: 'sha256:../../etc/passwd' } }), /no sha256 digest/],
  ['no name', () => layout({ annotations: {} }), /has no name/],
  ['a tag alone as name', () => layout({ annotations: { 'org.opencontainers.image.ref.name': '1' } }), /has no name/],
  ['no image', () => layout({ index: { manifests: [] } }), /lists no image/],
  ['an empty file', () => Buffer.alloc(0), /is empty/],
  ['text', () => Buffer.from('this is not an archive '.repeat(100)), /not a tar archive/],
  ['a cut gzip', () => gzipSync(layout()).subarray(0, 200), /damaged/],
  ['a damaged gzip', () => gzipSync(layout()).fill(7, 60, 160), /damaged|not a tar/],
  ['xz', () => Buffer.from('\xfd7zXZ\0', 'latin1'), /xz is not supported/],
  ['an unrelated tar', () => tarOf({ name: 'a' }), /neither index.json/],
  ['the same blob twice', () => Buffer.concat([layout().subarray(0, -1024), layout()]), /twice/],
]
for (const [what, bytes, message] of bad) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(load(bytes()), (error: Error) => {
      assert.equal(error.name, 'ImageError')
      assert.match(error.message, message)
      return true
    })
  })
}

test('a file that is not there', async () => {
  await assert.rejects(importArchive(join(root, 'nothing.tar'), nobody), /there is no such file/)
})

test('a bomb stops at the stated limit', async () => {
  const path = join(root, 'bomb.tar.gz')
  writeFileSync(path, gzipSync(tarOf({ name: 'zeros', content: Buffer.alloc(30 * 2 ** 20) })))
  const limits = { bytes: 10 * 2 ** 20, entries: 10 }
  await assert.rejects(importArchive(path, nobody, limits), /more than 10485760 bytes/)
})

const bombLimits: [what: string, limits: { bytes: number; entries: number }, words: RegExp][] = [
  ['bytes', { bytes: 512, entries: 10 }, /a layer unpacks to more than 512 bytes/],
  ['entries', { bytes: 1e6, entries: 1 }, /a layer has more than 1 entries/],
]
for (const [what, limits, words] of bombLimits)
  test(`a layer with too many ${what} imports nothing; a disk is not unpacked, so it may be large`, async () => {
    const path = join(root, `layers-${what}.tar`)
    const two = tarOf({ name: 'a', content: 'x' }, { name: 'b', content: 'y' })
    for (const [cmd, packed] of [
      [['sh'], gzipSync(two)],
      [[], gzipSync(two)],
      [['sh'], two],
    ] as [string[], Buffer][]) {
      writeFileSync(path, layout({ cmd, layerBytes: packed }))
      const imported: boolean[] = []
      const target = { ...nobody, import: async () => void imported.push(true) }
      const loading = importArchive(path, target, { bytes: 1e9, entries: 100 }, limits)
      if (cmd.length > 0) await assert.rejects(loading, (error: Error) => words.test(error.message))
      else await loading
      assert.equal(imported.length, cmd.length === 0 ? 1 : 0)
    }
  })

test('bytes in pieces are the same archive', async () => {
  const names: string[] = []
  for await (const entry of readTar(inPieces(layout(), 13), { bytes: 1e6, entries: 100 })) names.push(entry.name)
  assert.equal(names.length, 6)
})
