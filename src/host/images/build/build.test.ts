import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { sourcesText } from './apt.ts'
import { grubConfig, placeCore } from './boot-loader.ts'
import { stableUuid } from './disk.ts'
import { moduleDepends, writeCpio } from './initramfs.ts'
import { pauseProgram } from './pause-program.ts'
import { whatFailed } from './system.ts'
import { resolveInTree } from './tree.ts'

const root = mkdtempSync(join(tmpdir(), 'build-'))
after(() => rmSync(root, { recursive: true }))

test('paths stay inside the tree, whatever its symlinks say', async () => {
  const tree = mkdtempSync(join(root, 'tree-'))
  mkdirSync(join(tree, 'usr/bin'), { recursive: true })
  symlinkSync('usr/bin', join(tree, 'bin'))
  symlinkSync('/run', join(tree, 'absolute'))
  symlinkSync('../../../../etc', join(tree, 'climbs'))
  symlinkSync('loop', join(tree, 'loop'))
  assert.equal(await resolveInTree(tree, '/bin/sh'), join(tree, 'usr/bin/sh'))
  assert.equal(await resolveInTree(tree, '/absolute/x'), join(tree, 'run/x'))
  assert.equal(await resolveInTree(tree, '/climbs/passwd'), join(tree, 'etc/passwd'))
  assert.equal(await resolveInTree(tree, '/bin'), join(tree, 'bin'), 'the last part is not followed')
  await assert.rejects(resolveInTree(tree, '/loop/x'), /too many symlinks/)
})

test('sources of the suite and its companions, not of others', () => {
  const target = (suite: string, uri = 'http://mirror.test/debian/', signedBy?: string) => ({
    ...{ uri, suite, component: 'main' },
    ...(signedBy && { signedBy }),
  })
  const text = sourcesText(
    [
      target('bookworm', undefined, '/usr/share/keyrings/debian-archive-keyring.gpg'),
      target('bookworm-security', 'http://mirror.test/security/'),
      target('bookworm-backports'),
      target('trixie'),
    ],
    'bookworm',
  )
  assert.deepEqual(text.trim().split('\n'), [
    'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.test/debian/ bookworm main',
    'deb http://mirror.test/security/ bookworm-security main',
  ])
  assert.throws(() => sourcesText([target('trixie')], 'bookworm'), /no source for Debian bookworm main/)
})

test('GRUB: the core knows where its rest is, the configuration starts both ways', () => {
  const core = Buffer.alloc(5 * 512 + 10)
  placeCore(core, 2048)
  assert.deepEqual([core.readBigUInt64LE(0x1f4), core.readUInt16LE(0x1fc), core.readUInt16LE(0x1fe)], [2049n, 5, 0x820])
  const text = grubConfig({ kernel: '/boot/vmlinuz', initrd: '/boot/initrd.img', kernelArguments: 'root=x quiet' })
  assert.match(text, /linux16 \/boot\/vmlinuz root=x quiet\n {2}initrd16 \/boot\/initrd.img\nelse\n {2}linux \/boot/)
})

test('the pause program is an ELF executable whose jumps land where they should', () => {
  const elf = pauseProgram()
  assert.deepEqual([...elf.subarray(0, 5)], [0x7f, 0x45, 0x4c, 0x46, 2])
  const entry = Number(elf.readBigUInt64LE(24)) - 0x400000
  const at = (offset: number) => entry + offset
  /** Where the two-byte jump at `from` goes. */
  const jump = (from: number) => at(from) + 2 + elf.readInt8(at(from) + 1)
  const find = (...bytes: number[]) => elf.indexOf(Buffer.from(bytes), entry) - entry
  const wait = find(0x48, 0x89, 0xe7)
  const reap = find(0x6a, 0xff, 0x5f)
  assert.equal(jump(find(0x74, 0x10)), at(reap))
  assert.equal(jump(find(0x74, 0x05)), at(find(0x31, 0xff, 0xb0)))
  assert.equal(jump(find(0x75)), at(wait))
  assert.equal(jump(find(0x7f, 0xec)), at(reap))
  assert.equal(jump(find(0xeb, 0xc3)), at(wait))
})

test('module dependencies come from the module itself', () => {
  const bytes = (text: string) => Buffer.from(text.replaceAll('|', '\0'), 'latin1')
  assert.deepEqual(moduleDepends(bytes('ELF|license=GPL|depends=virtio,virtio_ring|name=x|')), [
    'virtio',
    'virtio_ring',
  ])
  assert.deepEqual(moduleDepends(bytes('ELF|depends=|')), [])
  assert.deepEqual(moduleDepends(bytes('ELF')), [])
})

test('the same tree gives the same cpio archive', async () => {
  const make = async (name: string) => {
    const tree = join(root, name)
    mkdirSync(join(tree, 'b'), { recursive: true })
    writeFileSync(join(tree, 'b/file'), 'content')
    symlinkSync('b/file', join(tree, 'a'))
    await writeCpio(tree, join(root, `${name}.cpio`), 1_700_000_000)
    return readFileSync(join(root, `${name}.cpio`))
  }
  const first = await make('one')
  assert.ok(first.equals(await make('two')))
  assert.equal(first.length % 4, 0)
  assert.match(first.toString('latin1'), /^070701.*dev\/console.*TRAILER!!!/s)
})

test('UUIDs are made from names', () => {
  assert.equal(stableUuid('a'), stableUuid('a'))
  assert.notEqual(stableUuid('a'), stableUuid('b'))
  assert.match(stableUuid('a'), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/)
})

test('of a thousand lines of apt, the telling ones are shown', () => {
  const talk = `Setting up a\nE: Unable to locate package nosuch\n${'noise\n'.repeat(50)}E: mmdebstrap failed to run\n`
  assert.equal(whatFailed(talk), 'E: Unable to locate package nosuch')
  assert.equal(whatFailed('one\ntwo\n'), 'one; two')
})
