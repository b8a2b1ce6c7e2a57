// Names of directories in a directory.

import { readdir } from 'node:fs/promises'

/** None when it does not exist. */
export async function directoriesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
}
