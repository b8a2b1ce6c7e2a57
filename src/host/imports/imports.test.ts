// Imports: what is to be done with a claim, what a file is, and how a stream becomes a file.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { StoredObject } from '../../api/meta.ts'
import { fatalError, podPhase, populatedFor, uploadTarget } from '../../kinds/cdi/annotations.ts'
import { formatOf, looksRaw } from './format.ts'
import { dataVolumeOf, orderFor, retryDelay } from './order.ts'
import { sandboxed } from './sandbox.ts'
import { writeSparse } from './sparse-file.ts'
import { usersOf } from './users.ts'

const folder = mkdtempSync(join(tmpdir(), 'imports-'))
after(() => rmSync(folder, { recursive: true }))

const owner = { apiVersion: 'cdi.kubevirt.io/v1beta1', kind: 'DataVolume', name: 'disk', uid: 'v', controller: true }

function claim(annotations: Record<string, string> = {}, owned = true, phase = 'Bound'): StoredObject {
  const metadata = { name: 'disk', namespace: 'default', annotations, ...(owned && { ownerReferences: [owner] }) }
  return { metadata, spec: {}, status: { phase } } as unknown as StoredObject
}

const volume = (spec: object): StoredObject =>
  ({
    metadata: { name: 'disk', namespace: 'default', uid: 'v' },
    spec: { storage: {}, ...spec },
  }) as unknown as StoredObject

const http = volume({ source: { http: { url: 'http://example.com/a' } } })

test('a claim is filled once, when it is bound, as its DataVolume says', () => {
  assert.equal(orderFor(claim(), http)?.origin.kind, 'http')
  assert.equal(orderFor(claim(), volume({ source: { blank: {} } }))?.origin.kind, 'blank')
  assert.equal(orderFor(claim(), volume({ sourceRef: { kind: 'DataSource', name: 'a' } }))?.origin.kind, 'clone')
  assert.equal(orderFor(claim({}, true, 'Pending'), http), undefined)
  assert.equal(orderFor(claim(), undefined), undefined)
  assert.equal(orderFor(claim(), volume({ storage: { dataSourceRef: {} } })), undefined)
  for (const done of [{ [podPhase]: 'Succeeded' }, { [fatalError]: 'true' }, { [populatedFor]: 'disk' }])
    assert.equal(orderFor(claim(done), http), undefined, JSON.stringify(done))
})

test('a claim of nobody takes uploads only where it says so; its other annotations order nothing', () => {
  assert.equal(orderFor(claim({ [uploadTarget]: '' }, false), undefined)?.origin.kind, 'upload')
  const forged = { 'cdi.kubevirt.io/storage.import.endpoint': 'http://x/', 'k8s.io/CloneRequest': 'other/secret' }
  assert.equal(orderFor(claim(forged, false), undefined), undefined)
})

test('an owner of another group is no DataVolume', () => {
  const made = claim()
  made.metadata.ownerReferences![0]!.apiVersion = 'example.com/v1'
  assert.equal(dataVolumeOf(made), undefined)
})

test('new tries come ever later, up to five minutes', () => {
  assert.deepEqual([1, 2, 3, 6, 9].map(retryDelay), [10_000, 20_000, 40_000, 300_000, 300_000])
})

const head = (text: string, size = 1024, more: (bytes: Buffer) => void = () => {}): Buffer => {
  const bytes = Buffer.alloc(size)
  bytes.write(text, 'latin1')
  more(bytes)
  return bytes
}

function vmdk(description: string, capacity = 64n, place = 1n): Buffer {
  return head('KDMV', 4096, (bytes) => {
    bytes.writeBigUInt64LE(capacity, 12)
    bytes.writeBigUInt64LE(place, 28)
    bytes.writeBigUInt64LE(2n, 36)
    bytes.write(description, 512, 'latin1')
  })
}

const none = Buffer.alloc(512)
const good = '# Disk DescriptorFile\nparentCID=ffffffff\nRW 64 SPARSE "disk.vmdk"\n'

test('formats are known by their bytes', () => {
  assert.equal(formatOf(head(''), none), 'raw')
  assert.equal(formatOf(head('vhdxfile'), none), 'vhdx')
  assert.equal(formatOf(head('conectix'), none), 'vpc')
  assert.equal(formatOf(head(''), head('conectix', 512)), 'vpc')
  assert.equal(
    formatOf(
      head('', 1024, (bytes) => bytes.writeUInt32LE(0xbeda107f, 64)),
      none,
    ),
    'vdi',
  )
  assert.equal(formatOf(vmdk(good), none), 'vmdk')
})

test('what is neither packed nor in a format is raw from its first bytes on', () => {
  assert.ok(looksRaw(head('')))
  for (const magic of ['QFI\xfb', '\x1f\x8b', '\xfd7zXZ', '\x28\xb5\x2f\xfd', 'KDMV'])
    assert.ok(!looksRaw(head(magic)), magic)
  assert.ok(!looksRaw(Buffer.alloc(10)))
})

for (const [what, bytes] of [
  ['a description that names extents', head('# Disk DescriptorFile\nRW 64 FLAT "/etc/shadow" 0')],
  ['an extent elsewhere', vmdk('parentCID=ffffffff\nRW 64 FLAT "/etc/shadow" 0\n')],
  ['two extents', vmdk(`${good}RW 64 SPARSE "/etc/shadow"\n`)],
  ['a parent', vmdk('parentCID=12345678\nparentFileNameHint="/etc/shadow"\nRW 64 SPARSE "a"\n')],
  ['no data of its own', vmdk(good, 0n)],
  ['a description out of sight', vmdk(good, 64n, 9999n)],
] as const)
  test(`a VMDK with ${what} is refused`, () => assert.throws(() => formatOf(bytes, none)))

const tooLarge = (size: number) => new Error(`too large: ${size}`)

test('zeros become holes, and the bytes stay', async () => {
  const path = join(folder, 'sparse')
  const data = Buffer.alloc(1_000_003)
  data.write('begin', 0)
  data.write('middle', 500_000)
  data.write('end', 1_000_000)
  const parts = async function* () {
    for (let at = 0; at < data.length; at += 33_333) yield data.subarray(at, at + 33_333)
  }
  const { size, head } = await writeSparse(parts(), path, { limit: 2 ** 20, headBytes: 100_000, tooLarge })
  assert.equal(size, data.length)
  assert.deepEqual(head, data.subarray(0, 100_000))
  assert.deepEqual(readFileSync(path), data)
  assert.ok(statSync(path).blocks * 512 < 300_000)
})

test('more than there is room for is refused', async () => {
  const parts = async function* () {
    yield Buffer.alloc(600)
    yield Buffer.alloc(600)
  }
  const options = { limit: 1000, headBytes: 10, tooLarge }
  await assert.rejects(writeSparse(parts(), join(folder, 'large'), options), /too large: 1200/)
})

test('who may write to a claim is known', () => {
  const pod = (spec: object, phase = 'Running') =>
    ({ metadata: { namespace: 'a', name: 'p' }, spec, status: { phase } }) as unknown as StoredObject
  const named = { volumes: [{ persistentVolumeClaim: { claimName: 'c' } }] }
  const readOnly = { volumes: [{ persistentVolumeClaim: { claimName: 'c', readOnly: true } }] }
  assert.deepEqual(usersOf('c', [pod(named), pod(readOnly), pod(named, 'Succeeded')], []), ['pod a/p'])
  assert.deepEqual(usersOf('c', [], [pod({ volumes: [{ dataVolume: { name: 'c' } }] })]), ['virtual machine a/p'])
})

test('the sandbox: nobody, no network, bounds, gone with Tandem', () => {
  const bounds = { cpuSeconds: 1, wallMs: 1, memoryBytes: 2, fileBytes: 3 }
  const argv = sandboxed({ argv: ['qemu-img', 'info'], uid: 7, hidden: '/state', bounds })
  for (const part of ['--cpu=1', '--as=2', '--fsize=3', '--net', '--mount', '--reuid=7', '--clear-groups'])
    assert.ok(argv.includes(part), part)
  for (const part of ['--no-new-privs', '--bounding-set=-all', '--pdeathsig=KILL', '/state'])
    assert.ok(argv.includes(part), part)
  assert.deepEqual(argv.slice(-2), ['qemu-img', 'info'])
})
