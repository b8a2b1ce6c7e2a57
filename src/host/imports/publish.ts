// Moves what an import made into the volume: each entry at once, so that nobody ever sees half a disk.

import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../exec.ts'

export async function publish(made: string, volume: string): Promise<void> {
  for (const name of await readdir(made)) {
    const from = join(made, name)
    const to = join(volume, name)
    try {
      await rename(from, to)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EXDEV') await across(from, to)
      else if (code === 'ENOTEMPTY' || code === 'EEXIST' || code === 'EISDIR' || code === 'ENOTDIR') {
        await rm(to, { recursive: true, force: true })
        await rename(from, to)
      } else throw error
    }
  }
}

/** A volume on another file system: a copy beside the place, then the rename. */
async function across(from: string, to: string): Promise<void> {
  const beside = `${to}.importing`
  await rm(beside, { recursive: true, force: true })
  await run(['cp', '-a', '--sparse=always', '--', from, beside], { timeoutMs: 6 * 3600_000 })
  await rm(to, { recursive: true, force: true })
  await rename(beside, to)
}
