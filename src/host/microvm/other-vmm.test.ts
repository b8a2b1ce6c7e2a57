// A Pod's guest in Cloud Hypervisor: what containerd calls for it, and what it is given.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { vmmNamed } from '../vmm/drivers.ts'
import { scriptOf } from './handler.ts'
import { otherRuntimes, otherVmm, otherVmmArgv, writeOtherRuntimes } from './other-vmm.ts'

test('what containerd calls is the script of all micro-VMs, told of its VMM', () => {
  const run = mkdtempSync(join(tmpdir(), "it's-"))
  try {
    writeFileSync(scriptOf({ run }), 'echo "$TANDEM_MICROVM_VMM $*"\n')
    writeOtherRuntimes(run)
    const { options } = otherRuntimes({ microvm: run })['microvm-clh']!
    const said = execFileSync(options.BinaryName, ['create', '--bundle', 'a b'], { encoding: 'utf8' })
    assert.equal(said, 'cloud-hypervisor create --bundle a b\n')
  } finally {
    rmSync(run, { recursive: true })
  }
})

test('the guest has the Pod’s cards and files, and always KVM', () => {
  const other = {
    driver: vmmNamed('cloud-hypervisor'),
    program: '/usr/bin/cloud-hypervisor',
    accelerator: 'kvm',
  } as const
  const shape = { memoryBytes: 128 * 2 ** 20, cpus: 2, podMac: '0a:58:00:00:00:01', accelerator: 'kvm' } as const
  const argv = otherVmmArgv(other, shape)
  const after = (option: string, count = 1) => argv.slice(argv.indexOf(option) + 1).slice(0, count)
  assert.deepEqual(after('--net', 2), [
    'id=control,tap=control0,mac=02:00:00:00:00:02',
    'id=pod,tap=tap0,mac=0a:58:00:00:00:01',
  ])
  assert.deepEqual(after('--fs'), ['tag=pod,socket=files.sock'])
  assert.deepEqual(after('--memory'), ['size=128M,shared=on'])
  assert.deepEqual(after('--kernel'), ['/parts/vmlinuz'])
  assert.ok(!argv.includes('--disk'))
})

test('QEMU is no other VMM, and one that does not exist is refused by name', () => {
  assert.equal(otherVmm(undefined), undefined)
  assert.throws(() => otherVmm('bochs'), /there is no VMM bochs/)
})
