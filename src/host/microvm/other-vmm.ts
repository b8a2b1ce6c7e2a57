// Pods whose micro-VM runs in another VMM than QEMU: the handler that says so, and the same guest for it: kernel, cards and
// files. The VMM runs in the same root as QEMU does: /vm is its folder and its working directory, /parts the kernel.

import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Accelerator } from '../machines/accelerator.ts'
import type { VmmDriver } from '../vmm/driver.ts'
import { vmmNamed } from '../vmm/drivers.ts'
import { vmmProgram } from '../vmm/readiness.ts'
import { type WatchedVerdict, watchVmm } from '../vmm/watch.ts'
import { missingForMicrovm, scriptOf } from './handler.ts'
import { controlMac, controlTap, type MachineShape, podTap } from './machine-argv.ts'

/** Handler → its VMM. */
export const otherHandlers: Readonly<Record<string, string>> = { 'microvm-clh': 'cloud-hypervisor' }

const otherScript = (run: string, handler: string): string => join(run, `runtime-${handler}`)

/** As containerd is told of them. */
export const otherRuntimes = ({ microvm }: { microvm: string }) =>
  Object.fromEntries(
    Object.keys(otherHandlers).map((handler) => [
      handler,
      { type: 'io.containerd.runc.v2', options: { BinaryName: otherScript(microvm, handler) } },
    ]),
  )

/** Each is the script of all micro-VMs, told of its VMM. */
export function writeOtherRuntimes(run: string): void {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  for (const [handler, vmm] of Object.entries(otherHandlers)) {
    const script = otherScript(run, handler)
    const lines = ['#!/bin/sh', `export TANDEM_MICROVM_VMM=${vmm}`, `. ${quoted(scriptOf({ run }))}`]
    writeFileSync(`${script}.new`, `${lines.join('\n')}\n`)
    chmodSync(`${script}.new`, 0o755)
    renameSync(`${script}.new`, script)
  }
}

/** What is said of each handler. */
export const otherVerdicts = (proof: () => Promise<Accelerator>) =>
  Object.entries(otherHandlers).map(([handler, vmm]) => [handler, otherVerdict(vmmNamed(vmm), proof)] as const)

/** Its guest and the process that shares the Pod's files are those of all micro-VMs. */
function otherVerdict(driver: VmmDriver, proof: () => Promise<Accelerator>): () => WatchedVerdict {
  const look = watchVmm({ driver, proof })
  return () => {
    const verdict = look()
    const missing = verdict.ready === 'True' ? missingForMicrovm() : undefined
    return missing ? { ready: 'False', reason: missing } : verdict
  }
}

export interface OtherVmm {
  driver: VmmDriver
  program: string
  accelerator: 'kvm'
}

/** Undefined: QEMU. That KVM works was proved before its class was ready. @throws Error where it is gone since */
export function otherVmm(name: string | undefined): OtherVmm | undefined {
  if (name === undefined) return undefined
  const driver = vmmNamed(name)
  const program = vmmProgram(driver)
  if (!program) throw new Error(`${driver.programs[0]} is missing: ${driver.remedy}`)
  return { driver, program, accelerator: 'kvm' }
}

export function otherVmmArgv({ driver, program }: OtherVmm, shape: MachineShape): string[] {
  const { memoryBytes, cpus, podMac, accelerator } = shape
  const guest = {
    kernel: '/parts/vmlinuz',
    initrd: '/parts/initrd',
    memoryBytes,
    cpus,
    disks: [],
    cards: [
      { name: 'control', tap: controlTap, mac: controlMac },
      { name: 'pod', tap: podTap, mac: podMac },
    ],
    folder: { tag: 'pod', socket: 'files.sock' },
  }
  return driver.argv(guest, { program, accelerator })
}
