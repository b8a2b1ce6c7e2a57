import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkQcow2Header, recognize } from './disk-format.ts'

/** A right version 3 header of a 1 GiB disk; tests spoil one field each. */
function header(spoil: (head: Buffer) => void = () => {}): Buffer {
  const head = Buffer.alloc(4096)
  head.write('QFI\xfb', 'latin1')
  head.writeUInt32BE(3, 4)
  head.writeUInt32BE(16, 20)
  head.writeBigUInt64BE(2n ** 30n, 24)
  head.writeUInt32BE(2, 36)
  head.writeUInt32BE(104, 100)
  spoil(head)
  return head
}

test('a plain qcow2 header passes', () => {
  checkQcow2Header(header(), 'disk')
  checkQcow2Header(
    header((head) => head.writeUInt32BE(2, 4)),
    'disk',
  )
})

const spoiled: [what: string, message: RegExp, (head: Buffer) => void][] = [
  ['backing file', /backing file/, (head) => head.writeBigUInt64BE(512n, 8)],
  ['backing file size only', /backing file/, (head) => head.writeUInt32BE(11, 16)],
  ['external data file bit', /another file/, (head) => head.writeBigUInt64BE(4n, 72)],
  ['data file name extension', /external data file/, (head) => head.writeUInt32BE(0x44415441, 104)],
  ['backing format extension', /backing format/, (head) => head.writeUInt32BE(0xe2792aca, 104)],
  ['unknown incompatible feature', /not known/, (head) => head.writeBigUInt64BE(1n << 40n, 72)],
  ['dirty bit', /not closed cleanly/, (head) => head.writeBigUInt64BE(1n, 72)],
  ['encryption', /encrypted/, (head) => head.writeUInt32BE(2, 32)],
  ['version 9', /version 9/, (head) => head.writeUInt32BE(9, 4)],
  ['cluster bits', /cluster size/, (head) => head.writeUInt32BE(40, 20)],
  ['8 EiB', /impossible size/, (head) => head.writeBigUInt64BE(2n ** 63n, 24)],
  ['huge level-1 table', /mapping table/, (head) => head.writeUInt32BE(2 ** 31, 36)],
  ['internal snapshots', /snapshots/, (head) => head.writeUInt32BE(3, 60)],
  ['endless extensions', /without an end/, (head) => head.writeUInt32BE(1, 104) && head.writeUInt32BE(2 ** 31, 108)],
]
for (const [what, message, spoil] of spoiled) {
  test(`refused qcow2: ${what}`, () => {
    assert.throws(() => checkQcow2Header(header(spoil), 'disk'), message)
  })
}

test('other formats are named, not taken for raw', () => {
  const of = (text: string, at = 0) => {
    const head = Buffer.alloc(1024)
    head.write(text, at, 'latin1')
    return () => recognize(head, 1024, '/disk/x')
  }
  assert.throws(of('KDMV'), /VMDK/)
  assert.throws(of('# Disk DescriptorFile'), /VMDK/)
  assert.throws(of('vhdxfile'), /VHDX/)
  assert.throws(of('\x1f\x8b'), /gzip/)
  assert.throws(of('\x7fELF'), /ELF/)
  assert.throws(of('ustar', 257), /tar/)
  assert.throws(() => recognize(Buffer.from('I am no disk\n'), 13, '/disk/x'), /not a disk image/)
  assert.equal(of('any boot sector')(), 'raw')
  assert.equal(of('QFI\xfb')(), 'qcow2')
})
