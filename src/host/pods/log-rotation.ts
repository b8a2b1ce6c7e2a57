// Keeps container logs small: a log over 10 MiB is set aside and a new one begun; five files at most, older ones packed.
// Numbers and names mirrored from the kubelet (containerLogMaxSize, containerLogMaxFiles; pkg/kubelet/logs, 1.32).

import { createReadStream, createWriteStream } from 'node:fs'
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'

export interface RotationLimits {
  maxBytes: number
  maxFiles: number
}

export const rotationLimits: RotationLimits = { maxBytes: 10 * 1024 * 1024, maxFiles: 5 }

/** '20260101-120000' */
const stamp = (ms: number): string => new Date(ms).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)

/** `reopen` makes the runtime write to a new file of the same name. */
export async function rotateLog(
  path: string,
  reopen: () => Promise<unknown>,
  now: number,
  limits: RotationLimits = rotationLimits,
): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (!found || found.size < limits.maxBytes) return false
  await tidy(path, limits)
  const aside = `${path}.${stamp(now)}`
  await rename(path, aside)
  try {
    await reopen()
  } catch (error) {
    await rename(aside, path)
    throw error
  }
  return true
}

/** Oldest first. */
async function rotatedLogs(path: string): Promise<string[]> {
  const names = await readdir(dirname(path)).catch(() => [])
  return names
    .filter((name) => name.startsWith(`${basename(path)}.`))
    .sort()
    .map((name) => join(dirname(path), name))
}

/** Makes room for one more, and packs what is not packed. */
async function tidy(path: string, { maxFiles }: RotationLimits): Promise<void> {
  const logs = await rotatedLogs(path)
  for (const leftover of logs.filter((name) => name.endsWith('.tmp'))) await rm(leftover, { force: true })
  const kept = logs.filter((name) => !name.endsWith('.tmp'))
  // The current file and the one that is set aside now count, too.
  const surplus = kept.splice(0, Math.max(kept.length - (maxFiles - 2), 0))
  for (const old of surplus) await rm(old, { force: true })
  for (const log of kept.filter((name) => !name.endsWith('.gz'))) {
    await pipeline(createReadStream(log), createGzip(), createWriteStream(`${log}.tmp`, { mode: 0o640 }))
    await rename(`${log}.tmp`, `${log}.gz`)
    await rm(log, { force: true })
  }
}

export async function removeLogs(path: string): Promise<void> {
  for (const log of await rotatedLogs(path)) await rm(log, { force: true })
  await rm(path, { force: true })
}
