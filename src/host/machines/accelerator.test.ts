// Proving an accelerator with pretended emulators: one that works, one that hangs, one that fails.

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSlow, proveAccelerator } from './accelerator.ts'
import { provingDisk, provingExitCode } from './proving-guest.ts'

async function prove(script: string, more: object = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'tandem-proof-'))
  const emulator = join(directory, 'qemu')
  writeFileSync(emulator, `#!/bin/sh\necho run >> ${directory}/runs\n${script}\n`, { mode: 0o755 })
  const cacheFile = join(directory, 'cache', 'accelerator.json')
  // /dev/null is a device that opens, as /dev/kvm does where it is broken.
  const options = {
    emulator,
    version: '7.2',
    cacheFile,
    device: '/dev/null',
    timeoutMs: 200,
    bootId: 'boot-1',
    ...more,
  }
  const first = await proveAccelerator(options)
  const again = await proveAccelerator(options)
  const nextBoot = await proveAccelerator({ ...options, bootId: 'boot-2' })
  const left = readdirSync(directory).includes('cache') ? readdirSync(join(directory, 'cache')) : []
  const runs = readdirSync(directory).includes('runs')
    ? readFileSync(join(directory, 'runs'), 'utf8').split('\n').length - 1
    : 0
  rmSync(directory, { recursive: true })
  return { first, again, nextBoot, left, runs }
}

test('a guest that reaches its end proves KVM, and leaves nothing but the result', async () => {
  const { first, again, nextBoot, left, runs } = await prove(`exit ${provingExitCode}`)
  for (const one of [first, again, nextBoot]) assert.equal(one.kind, 'kvm')
  assert.deepEqual(again, first)
  assert.equal(runs, 2, 'once for each boot of this machine')
  assert.deepEqual(left, ['accelerator.json'])
})

test('a guest that hangs is killed, and software emulation is chosen', async () => {
  const { first } = await prove('exec sleep 60')
  assert.equal(first.kind, 'tcg')
  assert.equal(first.reason, 'KVMHangs')
})

test('a guest that fails says why', async () => {
  const { first } = await prove('echo "failed to set MSR" >&2; exit 1')
  assert.equal(first.kind, 'tcg')
  assert.match(first.message, /failed to set MSR/)
})

test('KVM in which a guest is many times slower than emulated is not used', () => {
  assert.equal(isSlow(4400, 110), true)
  assert.equal(isSlow(1500, 900), false, 'the machine is slow, not KVM')
  assert.equal(isSlow(450, 50), false, 'a small guest that starts in no time says nothing')
})

test('no device, no proof', async () => {
  const { first, runs } = await prove('exit 1', { device: '/dev/does-not-exist' })
  assert.equal(first.reason, 'KVMNotAvailable')
  assert.equal(runs, 0)
})

test('the proving disk is a boot sector', () => {
  const disk = provingDisk()
  assert.equal(disk.readUInt16LE(510), 0xaa55)
  assert.equal(disk.subarray(0, 3).toString('hex'), 'fa31c0')
  // gdtr at the end of the code: its size, and its address behind the padding.
  assert.equal(disk.readUInt16LE(240), 0x17)
  assert.equal(disk.readUInt32LE(242), 0x7cd8)
})
