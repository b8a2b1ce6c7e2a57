import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { OpenFile } from '../../api/claim-file.ts'
import { createOpenClaim } from './open-claim.ts'

let root: string
before(() => {
  root = mkdtempSync(join(tmpdir(), 'tandem-export-'))
  mkdirSync(join(root, 'plain/sub'), { recursive: true })
  writeFileSync(join(root, 'secret'), 'of the host')
  writeFileSync(join(root, 'plain/disk.img'), 'a disk')
  writeFileSync(join(root, 'plain/sub/note'), 'a note')
  symlinkSync('../../secret', join(root, 'plain/sub/out'))
  symlinkSync('/etc', join(root, 'plain/etc'))
  mkdirSync(join(root, 'linked'))
  symlinkSync('/etc/passwd', join(root, 'linked/disk.img'))
})
after(() => rmSync(root, { recursive: true }))

const open = createOpenClaim({
  claimPath: async (_, name) => ({ path: join(root, name), capacityBytes: 0, readOnly: false, isBlock: false }),
})
const claim = (name: string) => ({ namespace: 'a', name })

async function read(file: OpenFile, start?: number, end?: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of file.read(start, end)) chunks.push(chunk)
  await file.close()
  return Buffer.concat(chunks)
}

test('a disk as it is, in part, and compressed', async () => {
  const disk = (await open(claim('plain'), { form: 'disk' })) as OpenFile
  assert.equal(disk.size, 6)
  assert.equal(String(await read(disk)), 'a disk')
  assert.equal(String(await read((await open(claim('plain'), { form: 'disk' })) as OpenFile, 2, 3)), 'di')
  const packed = await read((await open(claim('plain'), { form: 'disk.gz' })) as OpenFile)
  assert.equal(String(gunzipSync(packed)), 'a disk')
})

test('the volume as an archive, with its links as links', async () => {
  const packed = await read((await open(claim('plain'), { form: 'tar.gz' })) as OpenFile)
  const listed = execFileSync('tar', ['-tvz'], { input: packed, encoding: 'utf8' })
  assert.match(listed, /\.\/disk\.img\n/)
  assert.match(listed, /\.\/etc -> \/etc\n/)
})

test('single files and listings', async () => {
  const note = (await open(claim('plain'), { form: 'file', path: 'sub/note' })) as OpenFile
  assert.equal(String(await read(note)), 'a note')
  assert.deepEqual(await open(claim('plain'), { form: 'file', path: '' }), {
    kind: 'directory',
    names: ['disk.img', 'etc', 'sub/'],
  })
})

test('no link leads out of the volume', async () => {
  for (const path of ['sub/out', 'etc/passwd', '../secret', 'sub/../../secret', 'nothing', 'disk.img/x'])
    await assert.rejects(open(claim('plain'), { form: 'file', path }), { reason: 'NotFound' }, path)
  await assert.rejects(open(claim('linked'), { form: 'disk' }), { reason: 'NotFound' })
})
