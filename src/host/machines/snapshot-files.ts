// What snapshots hold on this machine. Of machines: snapshots/<uid of the content>/ with a file for each volume, and with
// memory everything that the machine had. While it is being filled it is called <uid>.new, while it is removed <uid>.gone:
// under its own name it is whole. Only Tandem may look inside.

import { closeSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from '../exec.ts'
import { openDisk } from './disk-files.ts'
import type { SavedState } from './saved-states.ts'

export interface TakenSnapshot {
  /** Volume → name of its file here. */
  volumes: Record<string, string>
  /** In ms since 1970. */
  takenAt: number
  /** The memory of the machine is kept too. */
  memory?: SavedState
}

export interface SnapshotFiles<Taken = TakenSnapshot> {
  find(content: string): Taken | undefined
  /** Of which there is anything, whole or not. */
  all(): string[]
  /** Makes room; returns the directory to fill. */
  begin(content: string): string
  /** It is whole: from now on it can be found. */
  seal(content: string, taken: Taken): void
  directory(content: string): string
  /** From now on it cannot be found; resolves when it is removed. */
  forget(content: string): Promise<void>
  /** Removes what was half made or half removed when a former run ended. */
  sweep(): Promise<void>
}

const noteFile = 'snapshot.json'
const unfinished = '.new'
const removed = '.gone'
const partial = /\.(new|gone)$/
const copyTimeoutMs = 3_600_000

export function createSnapshotFiles<Taken = TakenSnapshot>(root: string): SnapshotFiles<Taken> {
  const at = (content: string) => join(root, content)
  const filling = (content: string) => `${at(content)}${unfinished}`

  function find(content: string): Taken | undefined {
    try {
      return JSON.parse(readFileSync(join(at(content), noteFile), 'utf8'))
    } catch {
      return undefined
    }
  }

  function names(): string[] {
    try {
      return readdirSync(root)
    } catch {
      return []
    }
  }

  return {
    find,
    all: () => [...new Set(names().map((name) => name.replace(partial, '')))],
    begin(content) {
      rmSync(filling(content), { recursive: true, force: true })
      mkdirSync(filling(content), { recursive: true, mode: 0o700 })
      return filling(content)
    },
    seal(content, taken) {
      writeFileSync(join(filling(content), noteFile), JSON.stringify(taken), { mode: 0o600, flush: true })
      rmSync(at(content), { recursive: true, force: true })
      renameSync(filling(content), at(content))
    },
    directory: at,
    async forget(content) {
      const gone = `${at(content)}${removed}`
      try {
        renameSync(at(content), gone)
      } catch (error) {
        // Gone before, or still there from a removal that was cut off.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') await rm(at(content), { recursive: true, force: true })
      }
      for (const path of [gone, filling(content)]) await rm(path, { recursive: true, force: true })
    },
    async sweep() {
      for (const name of names()) if (partial.test(name)) await rm(join(root, name), { recursive: true, force: true })
    },
  }
}

/** The file's blocks are shared where the file system can (copy on write); holes stay holes where it cannot. */
export async function copyDisk(from: string, to: string, reflink: 'auto' | 'never' = 'auto'): Promise<void> {
  const file = openDisk(from, false)
  try {
    rmSync(to, { force: true, recursive: true })
    // By its descriptor: nobody can put another file in its place meanwhile.
    const source = `/proc/${process.pid}/fd/${file}`
    await run(['cp', `--reflink=${reflink}`, '--sparse=always', '--', source, to], { timeoutMs: copyTimeoutMs })
  } finally {
    closeSync(file)
  }
}
