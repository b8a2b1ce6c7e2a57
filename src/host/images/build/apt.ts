// Debian's packages for a build, from the mirrors that this machine's own apt uses, kept in a cache between builds.

import { mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { run } from '../../exec.ts'

export interface Apt {
  /** One-line sources of the suite, as mmdebstrap and apt read them. */
  readonly sourcesFile: string
  /** Settings of this machine's apt that a build needs too (proxies), as apt.conf text in a file. */
  readonly settingsFile: string
  readonly lists: string
  readonly archives: string
  /** Path of the package's .deb, downloaded (and checked by apt) unless it is in the cache. */
  fetch(packageName: string): Promise<string>
  /** Names in the package's Depends, first alternatives only. */
  dependencies(packageName: string): Promise<string[]>
}

const listsStayFreshMs = 12 * 3600_000

/** @throws Error when this machine's apt has no source for the suite */
export async function createApt(cacheDir: string, suite: string, onProgress: (line: string) => void): Promise<Apt> {
  const root = join(cacheDir, `apt-${suite}`)
  const lists = join(root, 'lists')
  const archives = join(root, 'archives')
  await mkdir(join(lists, 'partial'), { recursive: true })
  await mkdir(join(archives, 'partial'), { recursive: true })
  await mkdir(join(root, 'incoming', 'partial'), { recursive: true })
  const sourcesFile = join(root, 'sources.list')
  const settingsFile = join(root, 'settings.conf')
  await writeFile(sourcesFile, sourcesText(await machineTargets(), suite))
  await writeFile(settingsFile, await machineSettings(), { mode: 0o600 })
  await writeFile(join(root, 'status'), '')
  const configFile = join(root, 'apt.conf')
  await writeFile(configFile, aptConfig(root, sourcesFile))
  const env = { APT_CONFIG: configFile }
  let fresh: Promise<unknown> | undefined
  const refresh = () => {
    fresh ??= refreshLists(lists, env, onProgress)
    return fresh
  }
  return {
    sourcesFile,
    settingsFile,
    lists,
    archives,
    async fetch(packageName) {
      await refresh()
      // Apt says nothing about a package whose file lies in the current directory.
      const work = join(root, 'incoming')
      const { stdout } = await run(['apt-get', 'download', '--print-uris', packageName], { env, cwd: work })
      const match = /^'[^']+' (\S+) \d+/m.exec(stdout)
      if (!match) throw new Error(`package ${packageName} is not in ${suite} of this machine's apt sources`)
      // As apt names files in its archives directory, so that mmdebstrap finds them there too.
      const file = join(archives, basename(match[1]!))
      if (await exists(file)) return file
      onProgress(`downloading ${packageName}`)
      await run(['apt-get', 'download', '-o', 'APT::Sandbox::User=root', packageName], {
        env,
        cwd: work,
        timeoutMs: 600_000,
      })
      await rename(join(work, basename(file)), file)
      return file
    },
    async dependencies(packageName) {
      await refresh()
      const { stdout } = await run(['apt-cache', 'show', '--no-all-versions', packageName], { env })
      const depends = /^Depends: (.*)$/m.exec(stdout)?.[1] ?? ''
      return depends
        .split(',')
        .map((item) => item.trim().split(/[\s(|:]/)[0]!)
        .filter(Boolean)
    },
  }
}

async function refreshLists(lists: string, env: Record<string, string>, onProgress: (line: string) => void) {
  const newest = await Promise.all(
    (await readdir(lists))
      .filter((name) => name.endsWith('Release'))
      .map(async (name) => (await stat(join(lists, name))).ctimeMs),
  )
  if (newest.length > 0 && Date.now() - Math.max(...newest) < listsStayFreshMs) return
  onProgress('reading Debian’s package lists')
  await run(['apt-get', 'update', '-o', 'APT::Sandbox::User=root', '-o', 'Acquire::Languages=none'], {
    env,
    timeoutMs: 300_000,
  })
}

interface SourceTarget {
  uri: string
  suite: string
  component: string
  signedBy?: string
}

/** Every package index of this machine's own apt. */
async function machineTargets(): Promise<SourceTarget[]> {
  const { stdout } = await run(['apt-get', 'indextargets', 'Created-By: Packages'])
  return stdout.split('\n\n').flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1]
    const uri = field('Repo-URI')
    const suite = field('Release')
    const component = field('Component')
    return uri && suite && component ? [{ uri, suite, component, signedBy: field('Signed-By') }] : []
  })
}

/** The suite and its -updates and -security companions. */
export function sourcesText(targets: SourceTarget[], suite: string): string {
  const companions = targets.filter((target) => target.suite === suite || target.suite.startsWith(`${suite}-`))
  const own = companions.filter((target) => !target.suite.endsWith('-backports'))
  if (!own.some((target) => target.suite === suite && target.component === 'main')) {
    throw new Error(
      `this machine's apt has no source for Debian ${suite} main: add one below /etc/apt and run apt-get update`,
    )
  }
  const lines = own.map(({ uri, suite: of, component, signedBy }) => {
    const options = signedBy?.startsWith('/') ? `[signed-by=${signedBy}] ` : ''
    return `deb ${options}${uri} ${of} ${component}`
  })
  return `${[...new Set(lines)].join('\n')}\n`
}

/** Proxy and transport settings; credentials stay where they are, apt itself reads them from /etc/apt/auth.conf.d. */
async function machineSettings(): Promise<string> {
  const { stdout } = await run(['apt-config', 'dump', '--no-empty'])
  const wanted = stdout
    .split('\n')
    .filter((line) => /^Acquire::(http|https|ftp|Retries|Check-Valid-Until)\b/.test(line))
  return [
    ...wanted,
    'Dir::Etc::netrc "/etc/apt/auth.conf";',
    'Dir::Etc::netrcparts "/etc/apt/auth.conf.d/";',
    'Acquire::Languages "none";',
    'APT::Sandbox::User "root";',
    '',
  ].join('\n')
}

const aptConfig = (root: string, sourcesFile: string) =>
  [
    `Dir::State "${root}";`,
    `Dir::State::lists "${join(root, 'lists')}";`,
    `Dir::State::status "${join(root, 'status')}";`,
    `Dir::Cache "${root}";`,
    `Dir::Cache::archives "${join(root, 'incoming')}";`,
    `Dir::Etc::sourcelist "${sourcesFile}";`,
    'Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
    '',
  ].join('\n')

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )
