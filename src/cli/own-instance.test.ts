import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { instanceOf, ownerPath, requireOwnInstance } from '../config.ts'

test('two state directories with the same short id never touch each other', () => {
  const run = mkdtempSync(join(tmpdir(), 'run-'))
  try {
    const config = { stateDir: '/var/lib/tandem', instance: instanceOf('/var/lib/tandem') }
    requireOwnInstance(config, run)
    const path = ownerPath(config.instance, run)
    mkdirSync(dirname(path))
    writeFileSync(path, '/var/lib/tandem')
    requireOwnInstance(config, run)
    requireOwnInstance({ ...config, stateDir: '/var/lib/../lib/tandem' }, run)
    writeFileSync(path, '/srv/other')
    assert.throws(
      () => requireOwnInstance(config, run),
      /^Error: \/var\/lib\/tandem and \/srv\/other have the same short id/,
    )
  } finally {
    rmSync(run, { recursive: true })
  }
})
