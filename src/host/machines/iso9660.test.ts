// The seed disk is read back by a reader of its own: both trees, both byte orders, and the label.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { isoImage } from './iso9660.ts'
import { configDriveSeed, noCloudSeed } from './seed.ts'

const input = {
  name: 'db',
  namespace: 'default',
  uuid: '0f344a87-7dc3-5d4e-992f-6a7445faca93',
  hostname: 'db',
  userData: '#cloud-config\n',
  networkData: 'version: 2\n',
  sshKeys: ['ssh-ed25519 AAAA'],
}

/** Path → content, by the Rock Ridge names (descriptor 16) or Joliet's (17). */
function readImage(image: Buffer, joliet: boolean): Record<string, string> {
  const descriptor = image.subarray((joliet ? 17 : 16) * 2048)
  const files: Record<string, string> = {}
  const walk = (extent: number, size: number, path: string) => {
    for (let at = extent * 2048, end = at + size; at < end; ) {
      const record = image.subarray(at, at + image[at]!)
      if (!record.length) {
        at = (Math.floor(at / 2048) + 1) * 2048
        continue
      }
      at += record.length
      assert.equal(record.readUInt32LE(2), record.readUInt32BE(6))
      const nameLength = record[32]!
      const raw = record.subarray(33, 33 + nameLength)
      if (nameLength === 1 && raw[0]! < 2) continue
      const name = joliet ? Buffer.from(raw).swap16().toString('utf16le') : rockRidgeName(record)
      const [start, length] = [record.readUInt32LE(2), record.readUInt32LE(10)]
      if (record[25]! & 2) walk(start, length, `${path}${name}/`)
      else files[path + name] = image.toString('utf8', start * 2048, start * 2048 + length)
    }
  }
  walk(descriptor.readUInt32LE(156 + 2), descriptor.readUInt32LE(156 + 10), '')
  return files
}

function rockRidgeName(record: Buffer): string {
  const at = record.indexOf(Buffer.from('NM'), 33)
  return record.toString('latin1', at + 5, at + record[at + 2]!)
}

test('NoCloud: label, files, and an instance id that survives a restart of the VM', () => {
  const seed = noCloudSeed(input)
  const image = isoImage(seed.label, seed.files)
  assert.equal(image.toString('latin1', 16 * 2048 + 40, 16 * 2048 + 46), 'cidata')
  for (const joliet of [false, true]) {
    const files = readImage(image, joliet)
    assert.deepEqual(Object.keys(files).sort(), ['meta-data', 'network-config', 'user-data'])
    assert.equal(files['user-data'], '#cloud-config\n')
    assert.deepEqual(parse(files['meta-data']!), {
      'instance-id': 'db.default',
      'local-hostname': 'db',
      'public-keys': { 0: 'ssh-ed25519 AAAA' },
    })
  }
})

test('ConfigDrive: files below openstack/latest', () => {
  const seed = configDriveSeed(input)
  const files = readImage(isoImage(seed.label, seed.files), true)
  assert.equal(files['openstack/latest/user_data'], '#cloud-config\n')
  assert.equal(JSON.parse(files['openstack/latest/meta_data.json']!).uuid, input.uuid)
})

test('many files over several sectors, empty ones, long names', () => {
  const files = Array.from({ length: 150 }, (_, index) => ({
    path: `dir/${'n'.repeat(90)}-${index}`,
    content: Buffer.from('x'.repeat(index * 30)),
  }))
  for (const joliet of [false, true]) {
    const read = readImage(isoImage('many', files), joliet)
    assert.equal(Object.keys(read).length, 150)
    for (const { path, content } of files) assert.equal(read[path], content.toString())
  }
})

test('names that the format cannot hold are refused', () => {
  for (const path of ['../etc/passwd', 'a/../b', '', 'a\nb', 'x'.repeat(101)])
    assert.throws(() => isoImage('l', [{ path, content: Buffer.alloc(0) }]), /cannot be a file name/)
  assert.throws(() => isoImage('a label that is too long', []), /volume label/)
})
