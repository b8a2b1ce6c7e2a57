// Files of the host as disks: made where that is asked for, with the directories above them.

import assert from 'node:assert/strict'
import { closeSync, fstatSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openHostDisk } from './host-disk.ts'

test('a disk that is not there is made with its directory, and only when it is asked for', (context) => {
  const base = mkdtempSync(join(tmpdir(), 'tandem-host-disk-'))
  context.after(() => rmSync(base, { recursive: true }))
  const path = join(base, 'data/vm/disk.img')
  const wish = { path, type: 'DiskOrCreate', capacity: '1Mi' }
  assert.throws(() => openHostDisk(wish, [], false), /HostDisk feature gate is not enabled/)
  assert.throws(() => openHostDisk({ path, type: 'Disk' }, ['HostDisk'], false), /is not on this machine/)
  assert.throws(() => openHostDisk({ path, type: 'DiskOrCreate' }, ['HostDisk'], false), /capacity is missing/)
  for (const _ of ['made', 'found']) {
    const file = openHostDisk(wish, ['HostDisk'], false)
    assert.equal(fstatSync(file).size, 1024 * 1024)
    closeSync(file)
  }
})
