// What containerd is told of Pods in micro-VMs: a handler whose runtime is the script that is written here.

import { chmodSync, existsSync, mkdirSync, realpathSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const microvmHandler = 'microvm'

interface Folders {
  /** Below /run: nothing of it outlives a reboot. */
  run: string
  /** For parts and templates, shared by all Tandems of this installation. */
  home: string
}

interface RuntimeFacts extends Folders {
  /** KVM only where it was proved to work. */
  accelerator: 'kvm' | 'tcg'
}

/** Path of the script, for containerd's BinaryName. */
export const scriptOf = ({ run }: Pick<Folders, 'run'>): string => join(run, 'runtime')

/** As containerd is told of it: its runc shim, with another program in the place of runc. */
export const microvmRuntime = ({ microvm }: { microvm: string }) => ({
  type: 'io.containerd.runc.v2',
  options: { BinaryName: scriptOf({ run: microvm }) },
})

/** Anew at each start: Node and the sources may have moved. */
export function writeRuntime({ run, home, accelerator }: RuntimeFacts): void {
  for (const folder of [run, home]) mkdirSync(folder, { recursive: true, mode: 0o711 })
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
  const lines = [
    '#!/bin/sh',
    '# Written by Tandem at every start; changes are lost.',
    `export TANDEM_MICROVM_RUN=${quoted(run)} TANDEM_MICROVM_HOME=${quoted(realpathSync(home))}`,
    `export TANDEM_MICROVM_ACCELERATOR=${accelerator}`,
    `export NODE_COMPILE_CACHE=${quoted(process.env.NODE_COMPILE_CACHE ?? join(home, 'compiled'))}`,
    'export NODE_OPTIONS=--disable-warning=ExperimentalWarning',
    `node=${quoted(process.execPath)} here=${quoted(import.meta.dirname)}`,
    '. "$here/runtime.sh"',
  ]
  const script = scriptOf({ run })
  writeFileSync(`${script}.new`, `${lines.join('\n')}\n`)
  chmodSync(`${script}.new`, 0o755)
  renameSync(`${script}.new`, script)
}

const needed = [
  { file: '/usr/bin/qemu-system-x86_64', from: 'qemu-system-x86' },
  { file: '/usr/lib/qemu/virtiofsd', from: 'qemu-system-common' },
  { file: '/dev/net/tun', from: undefined },
]

/** undefined: Pods can run in micro-VMs. Else why not and what to do, for a person. */
export function missingForMicrovm(has: (path: string) => boolean = existsSync): string | undefined {
  const lacks = needed.find(({ file }) => !has(file))
  if (!lacks) return undefined
  return lacks.from
    ? `${lacks.file} is missing: apt-get install ${lacks.from}`
    : 'this machine has no /dev/net/tun: modprobe tun'
}

/** Emulated where this machine has no KVM that works: slower, and apart all the same. */
export function microvmVerdict(): { ready: 'True' | 'False'; reason: string } {
  const missing = missingForMicrovm()
  return missing
    ? { ready: 'False', reason: missing }
    : { ready: 'True', reason: 'a QEMU for each Pod; its kernel comes from Debian (60 MB) with the first one' }
}
