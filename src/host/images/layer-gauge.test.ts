import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLayerGauge, LayerRefused } from './layer-gauge.ts'
import { layerWords, refusalIn, refusalTarget } from './layer-limits.ts'
import { NoRoom, whileThereIsRoom } from './pull-guard.ts'
import { type FixtureEntry, paxEntry, tarOf, withChecksum } from './tar.fixture.ts'
import { tarFile } from './tar-writer.ts'

const limits = { bytes: 2 ** 20, entries: 100 }

interface Outcome {
  refused?: string
  /** What would have been passed on. */
  passed: Buffer
}

function measure(bytes: Buffer, piece = bytes.length, noRoom?: (bytes: number) => string | undefined): Outcome {
  const gauge = createLayerGauge(limits, { ...layerWords(limits), ...(noRoom && { noRoom }) })
  const passed: Buffer[] = []
  let held: Buffer[] = []
  const pass = (chunk: Buffer, safe: number | undefined) => {
    if (safe === undefined) return void held.push(chunk)
    passed.push(...held, chunk.subarray(0, safe))
    held = [chunk.subarray(safe)]
  }
  for (let at = 0; at < bytes.length; at += piece) {
    const chunk = bytes.subarray(at, at + piece)
    try {
      pass(chunk, gauge.push(chunk))
    } catch (error) {
      assert.ok(error instanceof LayerRefused)
      pass(chunk, error.safe)
      return { refused: error.message, passed: Buffer.concat(passed) }
    }
  }
  return { passed: Buffer.concat([...passed, ...held]) }
}

const gnuLong = (name: string): FixtureEntry => ({ name: '././@LongLink', flag: 'L', content: `${name}\0` })

/** `real`: what it becomes. */
function gnuSparse(real: bigint, more = 0): Buffer {
  const header = tarFile('huge', 512)
  header.write('S', 156)
  header.fill(0, 482, 495)
  header[482] = more > 0 ? 1 : 0
  header[483] = 0x80
  header.writeBigUInt64BE(real, 487)
  const maps = Array.from({ length: more }, (_, index) => {
    const map = Buffer.alloc(512)
    map[504] = index + 1 < more ? 1 : 0
    return map
  })
  return Buffer.concat([withChecksum(header), ...maps, Buffer.alloc(512, 'x')])
}

const everyKind = tarOf(
  { name: 'a', content: 'x' },
  { name: 'folder/', flag: '5' },
  { name: 'link', flag: '2', linkName: 'a' },
  // The size of what has no content counts for nothing.
  { name: 'device', flag: '3', size: 2 ** 40 },
  paxEntry({ path: 'a-long-name', mtime: '1.5' }),
  { name: 'b', content: Buffer.alloc(1025, 'b') },
  gnuLong('n'.repeat(300)),
  { name: 'c', content: 'c' },
  { name: 'empty' },
)

test('an honest layer passes as it is, whatever the pieces it comes in', () => {
  for (const piece of [everyKind.length, 4096, 512, 700, 13, 1]) {
    const { refused, passed } = measure(everyKind, piece)
    assert.equal(refused, undefined)
    assert.ok(passed.equals(everyKind), `pieces of ${piece}`)
  }
})

const words = { bytes: /unpacks to more than 1 MiB .*TANDEM_LAYER_BYTES/, entries: /more than 100 entries .*ENTRIES/ }
const first = tarOf({ name: 'first', content: 'x' }).subarray(0, 1024)
const bad: [what: string, bytes: Buffer, words: RegExp][] = [
  ['one large file', tarOf({ name: 'zeros', size: 2 ** 21 }), words.bytes],
  ['a size in base 256', tarOf({ name: 'zeros', size: 2 ** 40 }), words.bytes],
  ['a size in a pax header', tarOf(paxEntry({ size: '99999999999' }), { name: 'a' }), words.bytes],
  ['a size that is none', tarOf(paxEntry({ size: '-1' }), { name: 'a' }), /has the size "-1"/],
  ['too many entries', tarOf(...Array.from({ length: 101 }, (_, index) => ({ name: `f${index}` }))), words.entries],
  ['a path of many folders', tarOf(paxEntry({ path: 'd/'.repeat(200) }), { name: 'a' }), words.entries],
  ['the same in GNU’s way', tarOf(gnuLong('d/'.repeat(200)), { name: 'a' }), words.entries],
  ['a sparse file of 8 EiB', gnuSparse(2n ** 63n - 1n), words.bytes],
  ['a sparse file with maps', gnuSparse(2n ** 40n, 3), words.bytes],
  ['a sparse file in pax', tarOf(paxEntry({ 'GNU.sparse.realsize': `${2 ** 53}` }), { name: 'a' }), words.bytes],
  ['the older sparse pax', tarOf(paxEntry({ 'GNU.sparse.size': `${2 ** 53}` }), { name: 'a' }), words.bytes],
  ['a long extension', tarOf({ name: 'x', flag: 'x', size: 2 ** 21 }), /extended header is too large/],
  ['endless extensions', tarOf(...Array.from({ length: 9000 }, () => gnuLong('n'.repeat(512)))), /too many extended/],
  ['a broken extension', tarOf({ name: 'x', flag: 'x', content: 'nonsense' }), /pax header is damaged/],
  ['no tar', Buffer.alloc(1024, 'no tar '), /not a tar archive/],
]
for (const [what, bytes, said] of bad)
  test(`refused: ${what}; what went before is passed on, and no header of it`, () => {
    for (const piece of [1 << 24, 512, 300]) {
      const { refused, passed } = measure(Buffer.concat([first, bytes]), piece)
      assert.match(refused ?? 'not refused', said)
      if (!/entries|endless/.test(what)) assert.ok(passed.equals(first), `${passed.length} bytes in pieces of ${piece}`)
    }
  })

test('what comes after the end is measured, too', () => {
  assert.match(measure(Buffer.concat([tarOf({ name: 'a' }), Buffer.alloc(2 ** 21)]), 65536).refused ?? '', words.bytes)
})

test('a layer ends where the machine’s room does', () => {
  const noRoom = (bytes: number) => (bytes > 1000 ? 'no room' : undefined)
  assert.equal(measure(tarOf({ name: 'a', content: Buffer.alloc(900) }), 512, noRoom).refused, undefined)
  assert.equal(measure(tarOf({ name: 'a', content: Buffer.alloc(2000) }), 512, (_) => 'no room').refused, 'no room')
})

test('the words come back out of what containerd says', () => {
  for (const said of Object.values(layerWords({ bytes: 64 * 2 ** 30, entries: 1_000_000 }))) {
    const target = refusalTarget(said)
    assert.ok(Buffer.byteLength(target) <= 100, target)
    const message = `failed to extract layer sha256:00: mount callback failed on /x: link /x/${target} /x/.tandem-refused: no such file or directory: unknown`
    assert.equal(refusalIn(message), said)
  }
  assert.equal(refusalIn('failed to extract layer: unexpected EOF'), undefined)
})

test('a pull ends when there is no more room', async () => {
  const endless = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(new Error('cancelled'))))
  await assert.rejects(
    whileThereIsRoom(endless, () => 'no more room', 1),
    (error) => error instanceof NoRoom && error.message === 'no more room',
  )
  assert.equal(
    await whileThereIsRoom(
      async () => 'done',
      () => undefined,
    ),
    'done',
  )
  await assert.rejects(
    whileThereIsRoom(
      () => Promise.reject(new Error('its own')),
      () => undefined,
    ),
    /its own/,
  )
})
