// Which accelerator machines run with. KVM is not believed but proved: a tiny guest must boot in it and reach its end.
// /dev/kvm can be there and unusable (a nested hypervisor that hangs or refuses registers); then it is TCG, and said so.

import { createHash } from 'node:crypto'
import { accessSync, chmodSync, chownSync, constants, readFileSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { release } from 'node:os'
import { dirname, join } from 'node:path'
import { run } from '../exec.ts'
import type { ProcessUser } from './process.ts'
import { provingDisk, provingExitCode } from './proving-guest.ts'

export interface Accelerator {
  kind: 'kvm' | 'tcg'
  /** CamelCase, for the condition's reason. */
  reason: string
  /** For a person. */
  message: string
}

export interface AcceleratorOptions {
  /** QEMU's system emulator. */
  emulator: string
  /** "7.2.22": a new QEMU is proved anew. */
  version: string
  /** Where the result is kept until the next boot or another QEMU or kernel. */
  cacheFile: string
  device?: string
  timeoutMs?: number
  bootId?: string
}

const defaultTimeoutMs = 3_000
/** Where it is faster than this, nobody asks how long emulation takes. */
const quickMs = 500
const slowFactor = 5

/**
 * Whether KVM is one that nobody wants: where each way out of the guest goes through another hypervisor, the proof was
 * seen to take 40 times as long as emulated, and Linux not to come up at all.
 */
export const isSlow = (kvmMs: number, emulatedMs: number): boolean => kvmMs > quickMs && kvmMs > emulatedMs * slowFactor

/** Never throws: what cannot be proved is not used. */
export async function proveAccelerator(options: AcceleratorOptions): Promise<Accelerator> {
  const device = options.device ?? '/dev/kvm'
  const missing = unusable(device)
  if (missing) return { kind: 'tcg', reason: 'KVMNotAvailable', message: missing }
  const key = cacheKey(options)
  const cached = readCache(options.cacheFile, key)
  if (cached) return cached
  const result = await prove(options).catch(
    (error): Accelerator => ({ kind: 'tcg', reason: 'KVMNotProved', message: (error as Error).message }),
  )
  await writeCache(options.cacheFile, key, result).catch(() => {})
  return result
}

function unusable(device: string): string | undefined {
  try {
    if (!statSync(device).isCharacterDevice()) return `${device} is not a device`
    accessSync(device, constants.R_OK | constants.W_OK)
    return undefined
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    return code === 'ENOENT' ? `this machine has no ${device}` : `${device} cannot be opened (${code})`
  }
}

async function prove({ emulator, timeoutMs = defaultTimeoutMs, cacheFile }: AcceleratorOptions): Promise<Accelerator> {
  await mkdir(dirname(cacheFile), { recursive: true })
  const directory = await mkdtemp(join(dirname(cacheFile), '.proof-'))
  try {
    const disk = join(directory, 'disk.img')
    await writeFile(disk, provingDisk())
    const boot = async (kind: Accelerator['kind'], patienceMs: number) => {
      const start = performance.now()
      const args = provingArgs(emulator, disk, kind)
      const { code, stderr } = await run(args, { timeoutMs: patienceMs, allowFailure: true, cwd: directory })
      return { code, stderr, took: Math.round(performance.now() - start) }
    }
    const native = await boot('kvm', timeoutMs)
    if (native.code !== provingExitCode) {
      if (native.took >= timeoutMs)
        return { kind: 'tcg', reason: 'KVMHangs', message: `a test guest in KVM did not end in ${timeoutMs} ms` }
      const last = native.stderr.trim().split('\n').at(-1) ?? ''
      const message = `a test guest in KVM failed (${native.code}): ${last.slice(0, 300)}`
      return { kind: 'tcg', reason: 'KVMFailed', message }
    }
    if (native.took > quickMs) {
      const emulated = await boot('tcg', native.took)
      // Once more, for the machine may have been busy.
      const again = await boot('kvm', native.took)
      const best = Math.min(native.took, again.took)
      if (emulated.code === provingExitCode && isSlow(best, emulated.took)) {
        const message = `a test guest took ${best} ms in KVM, and ${emulated.took} ms emulated`
        return { kind: 'tcg', reason: 'KVMSlow', message }
      }
    }
    return { kind: 'kvm', reason: 'KVMProved', message: `a test guest ran in KVM in ${native.took} ms` }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** The options that matter are those of a real machine: the same processor model, the same firmware, the same disk. */
export function provingArgs(emulator: string, disk: string, kind: Accelerator['kind'] = 'kvm'): string[] {
  const blockdev = { driver: 'raw', 'node-name': 'disk', file: { driver: 'file', filename: disk } }
  return [
    ...[emulator, '-nodefaults', '-no-user-config', '-display', 'none', '-M', 'q35', '-m', '64'],
    ...['-accel', kind, '-cpu', kind === 'kvm' ? 'host' : 'max', '-no-reboot'],
    ...['-blockdev', JSON.stringify(blockdev), '-device', 'virtio-blk-pci,drive=disk,bootindex=1'],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-boot', 'strict=on'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
  ]
}

/**
 * The user as whom QEMU may open KVM: with the device's group where udev gave it one (Debian: kvm), else the device is
 * given to QEMU's own group.
 */
export function withKvm(user: ProcessUser, device = '/dev/kvm'): ProcessUser {
  const { mode, gid } = statSync(device)
  if ((mode & 0o006) === 0o006) return user
  if ((mode & 0o060) !== 0o060 || gid === 0) {
    chownSync(device, 0, user.gid)
    chmodSync(device, 0o660)
    return user
  }
  return gid === user.gid ? user : { ...user, groups: [...(user.groups ?? []), gid] }
}

function cacheKey(options: AcceleratorOptions): string {
  const bootId = options.bootId ?? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const facts = [bootId, release(), options.version, options.emulator, options.device ?? '/dev/kvm']
  return createHash('sha256').update(facts.join('\n')).digest('hex')
}

function readCache(file: string, key: string): Accelerator | undefined {
  try {
    const cached = JSON.parse(readFileSync(file, 'utf8'))
    return cached.key === key && ['kvm', 'tcg'].includes(cached.result?.kind) ? cached.result : undefined
  } catch {
    return undefined
  }
}

async function writeCache(file: string, key: string, result: Accelerator): Promise<void> {
  await writeFile(`${file}.new`, JSON.stringify({ key, result }))
  await rename(`${file}.new`, file)
}
