// What snapshots of machines hold on this machine: snapshots/<uid of the content>/ with a file for each volume, and with
// memory everything that the machine had. While it is being filled it is called <uid>.new. Only Tandem may look inside.

import { closeSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
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

export interface SnapshotFiles {
  find(content: string): TakenSnapshot | undefined
  all(): [content: string, taken: TakenSnapshot][]
  /** Makes room; returns the directory to fill. */
  begin(content: string): string
  /** It is whole: from now on it can be found. */
  seal(content: string, taken: TakenSnapshot): void
  directory(content: string): string
  forget(content: string): void
}

const noteFile = 'snapshot.json'
const unfinished = '.new'
const copyTimeoutMs = 3_600_000

export function createSnapshotFiles(root: string): SnapshotFiles {
  const at = (content: string) => join(root, content)
  const filling = (content: string) => `${at(content)}${unfinished}`

  function find(content: string): TakenSnapshot | undefined {
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
    all: () => names().map((name) => [name.replace(unfinished, ''), find(name) ?? { volumes: {}, takenAt: 0 }]),
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
    forget(content) {
      for (const path of [at(content), filling(content)]) rmSync(path, { recursive: true, force: true })
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
