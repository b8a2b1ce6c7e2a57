// Which `runsc` there is: this machine's own where it is new enough, else Debian 13's, fetched when a Pod first wants it
// (7 MB), unpacked beside the libraries and not installed.

import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { run } from '../../exec.ts'
import { programPath } from './discover.ts'

const home = resolve(import.meta.dirname, '../../../..')
const suite = 'trixie'

/** The wrapper looks here, too. */
export const fetchedRunsc = join(home, 'node_modules/.cache/runsc', suite, 'unpacked/usr/bin/runsc')

/** Debian 12's (20221219) answers EAGAIN to a read that should wait, as soon as the network is the Pod's. */
const oldest = 20240729

/** Its path; undefined when there is none that works. */
export async function findRunsc(): Promise<string | undefined> {
  if (existsSync(fetchedRunsc)) return fetchedRunsc
  const own = programPath('runsc')
  if (!own) return undefined
  const { stdout } = await run([own, '--version'], { allowFailure: true, timeoutMs: 20_000 })
  return isRecent(stdout) ? own : undefined
}

/** "runsc version 0.0~20240729.0" of Debian, "release-20250407.0" of gVisor itself. */
export const isRecent = (text: string): boolean => Number(/version \D*(?:0\.0~)?(\d{8})/.exec(text)?.[1] ?? 0) >= oldest

/** @throws Error with what to do */
export async function fetchRunsc(): Promise<string> {
  const argv = [join(home, 'scripts/unpacked-package'), suite, 'runsc', 'usr/bin/runsc']
  const { code, stdout, stderr } = await run(argv, { allowFailure: true, timeoutMs: 10 * 60_000 })
  if (code === 0) return stdout.trim()
  const why = stderr.trim().split('\n').at(-1) ?? ''
  throw new Error(
    `gVisor cannot be fetched from Debian ${suite} (${why}); look at the network and /etc/apt/sources.list, or install runsc of ${oldest} or newer`,
  )
}
