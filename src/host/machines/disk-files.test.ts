// Disk files are opened as plain files only; a claim's disk is made once and grows; logs stay bounded.

import assert from 'node:assert/strict'
import {
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimDiskSize, ensureClaimDisk } from './claim-disk.ts'
import { openDisk } from './disk-files.ts'
import { trimLog } from './logs.ts'

function inDirectory(body: (directory: string) => void): void {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-disk-'))
  try {
    body(directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test('a link, a directory, a device, and a second name of a file are no disks', () =>
  inDirectory((directory) => {
    const real = join(directory, 'real')
    writeFileSync(real, 'secret')
    symlinkSync(real, join(directory, 'link'))
    mkdirSync(join(directory, 'dir'))
    assert.throws(() => openDisk(join(directory, 'link'), true), /symbolic link/)
    assert.throws(() => openDisk(join(directory, 'dir'), false), /not a plain file/)
    assert.throws(() => openDisk('/dev/null', true), /not a plain file/)
    closeSync(openDisk(real, true))
    linkSync(real, join(directory, 'other-name'))
    assert.throws(() => openDisk(real, true), /not a plain file of its own/)
  }))

test('a claim’s disk is sparse, sized below the claim, kept when it is there, and grows with the claim', () =>
  inDirectory((directory) => {
    const place = { path: directory, capacityBytes: 1024 ** 3, isBlock: false }
    const path = ensureClaimDisk(place, false)
    assert.equal(statSync(path).size, claimDiskSize(place))
    assert.equal(claimDiskSize(place) % (1024 * 1024), 0)
    assert.ok(claimDiskSize(place) < place.capacityBytes)
    assert.equal(statSync(path).blocks, 0)
    writeFileSync(path, 'data')
    assert.equal(ensureClaimDisk(place, false), path)
    assert.equal(statSync(path).size, claimDiskSize(place))
    const head = Buffer.alloc(4)
    const file = openSync(path, 'r')
    readSync(file, head)
    closeSync(file)
    assert.equal(head.toString(), 'data')
    ensureClaimDisk({ ...place, capacityBytes: 1024 ** 3 / 2 }, false)
    assert.equal(statSync(path).size, claimDiskSize(place))
    const tooSmall = { ...place, path: join(directory, 'other'), capacityBytes: 1000 }
    assert.throws(() => ensureClaimDisk(tooSmall, false), /too small/)
    ensureClaimDisk({ ...place, isBlock: true }, false)
    assert.equal(statSync(path).size, place.capacityBytes, 'without a file system it is the whole volume')
  }))

test('a link in the place of a claim’s disk is not written through', () =>
  inDirectory((directory) => {
    symlinkSync(join(directory, 'victim'), join(directory, 'disk.img'))
    ensureClaimDisk({ path: directory, capacityBytes: 1024 ** 3, isBlock: false }, false)
    assert.throws(() => statSync(join(directory, 'victim')), /ENOENT/)
  }))

test('a log beyond its limit keeps its tail', () =>
  inDirectory((directory) => {
    const path = join(directory, 'serial.log')
    writeFileSync(path, `${'a'.repeat(100)}${'b'.repeat(10)}`)
    trimLog(path, 100, 20)
    assert.equal(readFileSync(path, 'utf8'), `${'a'.repeat(10)}${'b'.repeat(10)}`)
    trimLog(path, 100, 20)
    assert.equal(statSync(path).size, 20)
  }))
