// Which runtimes containerd can be told of: by handler, and what each needs of this machine. Those that are known stand in
// containerd's configuration whether they are installed or not: one that comes later needs no restart.

import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { RuntimeHandler } from '../containerd-config.ts'

/** What a program is to be installed from, and where it is. */
export interface KnownRuntime {
  runtime: RuntimeHandler
  /** Program names, any of which is enough. */
  programs: string[]
  /** For a person whose machine lacks it. */
  remedy: string
  /** Runs a virtual machine of its own. */
  needsKvm?: boolean
  /** A file that must be there, too. */
  configuration?: string
}

const runcShim = 'io.containerd.runc.v2'

const kata = (name: string, configuration: string): KnownRuntime => ({
  runtime: { type: 'io.containerd.kata.v2', options: { ConfigPath: configurationOf(configuration) } },
  programs: ['containerd-shim-kata-v2'],
  remedy: `install Kata Containers (${name}): https://github.com/kata-containers/kata-containers/releases; Debian has no package of it`,
  needsKvm: true,
  configuration: configurationOf(configuration),
})

/** Where Kata's own packages and its kata-deploy put their settings. */
const kataDirectories = ['/opt/kata/share/defaults/kata-containers', '/usr/share/defaults/kata-containers']

function configurationOf(file: string): string {
  const found = ['/etc/kata-containers', ...kataDirectories].map((directory) => join(directory, file)).find(existsSync)
  return found ?? join(kataDirectories[0]!, file)
}

const wasmShims = ['wasmtime', 'wasmedge', 'wasmer']

/** The shim that is there is the one that is meant. */
const wasmType = (): string =>
  `io.containerd.${wasmShims.find((name) => programPath(`containerd-shim-${name}-v1`)) ?? wasmShims[0]}.v1`

export const gvisorWrapper = join(import.meta.dirname, '../gvisor/runsc-for-containerd')

/** In the place of the program of this name: refuses what that one cannot be given. */
const guarded = (program: string): string => join(import.meta.dirname, 'guarded', program)

/** By handler. */
export const knownRuntimes = (): Record<string, KnownRuntime> => ({
  runc: {
    runtime: { type: runcShim, options: { BinaryName: guarded('runc') } },
    programs: ['runc'],
    remedy: 'apt-get install runc',
  },
  runsc: {
    runtime: { type: runcShim, options: { BinaryName: gvisorWrapper } },
    programs: ['runsc'],
    remedy: 'apt-get install runsc',
  },
  crun: {
    runtime: { type: runcShim, options: { BinaryName: guarded('crun') } },
    programs: ['crun'],
    remedy: 'apt-get install crun',
  },
  kata: kata('QEMU', 'configuration-qemu.toml'),
  'kata-fc': kata('Firecracker', 'configuration-fc.toml'),
  'kata-clh': kata('Cloud Hypervisor', 'configuration-clh.toml'),
  wasm: {
    runtime: { type: wasmType() },
    programs: wasmShims.map((name) => `containerd-shim-${name}-v1`),
    remedy: 'install a shim of runwasi: https://github.com/containerd/runwasi/releases; Debian has no package of it',
  },
})

export function programPath(name: string): string | undefined {
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/bin', '/opt/kata/bin']
  return directories.map((directory) => join(directory, name)).find(existsSync)
}

/** What the machine's administrator has told their own containerd of, by handler. */
export function hostRuntimes(file = '/etc/containerd/config.toml'): Record<string, RuntimeHandler> {
  try {
    return runtimesIn(readFileSync(file, 'utf8'))
  } catch {
    return {}
  }
}

const table =
  /^\[\s*plugins\s*\.\s*["'][^"']*cri[^"']*["']\s*\.\s*containerd\s*\.\s*runtimes\s*\.\s*["']?([\w-]+)["']?\s*(\.\s*options\s*)?\]$/
const setting = /^(\w+)\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|true|false)$/

/** Of containerd's TOML only the tables of runtimes (configuration versions 2 and 3), and in them texts and yes or no. */
export function runtimesIn(toml: string): Record<string, RuntimeHandler> {
  const found: Record<string, RuntimeHandler> = {}
  let at: { name: string; inOptions: boolean } | undefined
  for (const line of toml.split('\n').map((text) => text.replace(/\s+#.*$/, '').trim())) {
    if (line.startsWith('[')) {
      const [, name, options] = table.exec(line) ?? []
      at = name === undefined ? undefined : { name, inOptions: options !== undefined }
      continue
    }
    const [, key, raw] = setting.exec(line) ?? []
    if (!at || key === undefined || raw === undefined) continue
    const value = raw.startsWith("'") ? raw.slice(1, -1) : JSON.parse(raw)
    const handler = found[at.name] ?? { type: '' }
    found[at.name] = handler
    if (at.inOptions) handler.options = { ...handler.options, [key]: value }
    else if (key === 'runtime_type') handler.type = value
  }
  return Object.fromEntries(Object.entries(found).filter(([, { type }]) => type !== ''))
}

/** For containerd's configuration; a known handler that the administrator has set up is as they set it up, but ours. */
export function runtimesOfMachine(): Record<string, RuntimeHandler> {
  const known = Object.entries(knownRuntimes()).map(([handler, { runtime }]) => [handler, runtime] as const)
  const { runc: _ours, runsc: _wrapped, ...others } = hostRuntimes()
  return { ...Object.fromEntries(known), ...others }
}
