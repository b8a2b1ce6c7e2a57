// A whole Debian system in a directory, made by mmdebstrap from cached packages.

import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CommandFailed, run } from '../../exec.ts'
import type { Apt } from './apt.ts'
import type { SystemSpec } from './recipe.ts'

export interface SystemOptions {
  root: string
  apt: Apt
  system: SystemSpec
  epoch: number
  onProgress: (line: string) => void
}

/** What a running system would make by itself, and what depends on the hour of the build. */
const leftovers = [
  'etc/apt/apt.conf.d/99mmdebstrap',
  'etc/dpkg/dpkg.cfg.d/99mmdebstrap',
  'etc/apt/sources.list',
  'var/log/alternatives.log',
  'var/log/bootstrap.log',
  'var/log/apt',
  'var/log/dpkg.log',
  'var/cache/apt/archives',
  'var/cache/apt/pkgcache.bin',
  'var/cache/apt/srcpkgcache.bin',
  'var/cache/ldconfig/aux-cache',
  'var/cache/debconf/config.dat-old',
  'var/cache/debconf/templates.dat-old',
  'var/lib/dpkg/status-old',
  'var/lib/dpkg/diversions-old',
  'var/lib/dpkg/statoverride-old',
  'var/lib/apt/lists',
  'var/lib/systemd/catalog/database',
  'etc/.pwd.lock',
  'etc/passwd-',
  'etc/group-',
  'etc/shadow-',
  'etc/gshadow-',
  'etc/hostname',
  'etc/resolv.conf',
]

export async function makeSystem(options: SystemOptions): Promise<void> {
  const { apt, system, onProgress } = options
  onProgress(`installing Debian ${system.suite} (${system.variant}) and ${system.packages.length} packages`)
  await run(
    [
      // Own mount namespace: what mmdebstrap mounts goes away with it, even when it is killed.
      ...['unshare', '--mount', '--propagation', 'private'],
      ...['mmdebstrap', '--mode=root', '--format=directory', `--variant=${system.variant}`],
      `--aptopt=${apt.settingsFile}`,
      '--dpkgopt=force-unsafe-io', // a build that is cut short is thrown away
      ...system.exclude.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
      ...(system.packages.length > 0 ? [`--include=${system.packages.join(',')}`] : []),
      ...cacheHooks(apt),
      system.suite,
      options.root,
      apt.sourcesFile,
    ],
    {
      timeoutMs: 1_800_000,
      env: { SOURCE_DATE_EPOCH: String(options.epoch), LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' },
      onLine: (line) => {
        if (/^I: (?!running --)/.test(line)) onProgress(line.slice(3))
      },
    },
  ).catch((error) => {
    throw error instanceof CommandFailed
      ? new Error(`making the Debian system failed: ${whatFailed(error.stderr)}`, { cause: error.message })
      : error
  })
  await clean(options.root)
}

/** The recipe's shell lines as root of the tree, with /proc, in a mount namespace that ends with them. */
export async function runSteps(root: string, steps: string[], epoch: number): Promise<void> {
  const enter = 'mount -t proc proc "$1/proc" && exec chroot "$1" sh -s'
  await run(['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', 'sh', '-c', enter, 'sh', root], {
    input: ['set -eu', ...steps, ''].join('\n'),
    timeoutMs: 1_800_000,
    env: { SOURCE_DATE_EPOCH: String(epoch), LC_ALL: 'C.UTF-8', PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  }).catch((error) => {
    throw error instanceof CommandFailed
      ? new Error(`a run step failed: ${whatFailed(error.stderr)}`, { cause: error.message })
      : error
  })
  await emptyTemporary(root)
}

/** The lines of apt's, dpkg's and the run steps' talk that say what went wrong. */
export function whatFailed(talk: string): string {
  const telling = /^(E: (?!setup failed)|dpkg: error|update-alternatives: error|sh: |.*: not found$| \S+: error)/
  const lines = talk.split('\n').map((line) => line.trimEnd())
  const found = lines.filter((line) => telling.test(line) && !/mmdebstrap failed to run|Sub-process/.test(line))
  const shown = found.length > 0 ? found.slice(0, 5) : lines.filter(Boolean).slice(-5)
  return shown.join('; ')
}

/** Packages and lists go in before apt wants them and come out when it has them: hard links, no copies. */
function cacheHooks(apt: Apt): string[] {
  const archives = shellQuoted(apt.archives)
  const lists = shellQuoted(apt.lists)
  const inside = '"$1"/var/cache/apt/archives'
  const link = (from: string, to: string) =>
    `find ${from} -maxdepth 1 -name "*.deb" -exec ln -f -t ${to} {} + 2>/dev/null || find ${from} -maxdepth 1 -name "*.deb" -exec cp -t ${to} {} +`
  return [
    `--setup-hook=mkdir -p ${inside} "$1"/var/lib/apt/lists; ${link(archives, inside)}; cp -a ${lists}/. "$1"/var/lib/apt/lists/`,
    '--skip=essential/unlink',
    `--customize-hook=${link(inside, archives)}`,
  ]
}

const shellQuoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`

async function clean(root: string): Promise<void> {
  for (const path of leftovers) await rm(join(root, path), { recursive: true, force: true })
  await emptyTemporary(root)
  await mkdir(join(root, 'var/lib/apt/lists'), { recursive: true })
  await mkdir(join(root, 'var/cache/apt/archives/partial'), { recursive: true })
  // Empty: a container gets its own mounted over it, a VM makes its own at first boot.
  await writeFile(join(root, 'etc/machine-id'), '')
}

async function emptyTemporary(root: string): Promise<void> {
  for (const folder of ['tmp', 'run', 'var/tmp']) {
    for (const name of await readdir(join(root, folder)).catch(() => []))
      await rm(join(root, folder, name), { recursive: true, force: true })
  }
}
