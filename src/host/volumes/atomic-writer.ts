// Puts files into a volume so that a reader sees all old or all new ones: a fresh directory, then one rename of the link
// `..data`. Layout mirrored from pkg/volume/util/atomic_writer.go (Kubernetes 1.32).

import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'

export interface FileContent {
  data: Buffer
  mode: number
  /** Owner and group, when they are not Tandem's own. */
  uid?: number
  gid?: number
}

/** Relative path → content. */
export type Payload = Map<string, FileContent>

const dataLink = '..data'
const longestPath = 4096
const longestName = 255
/** chown(2): leave it as it is. */
const keep = -1

/** @throws Error for a path that could leave the volume or meet the writer's own names. */
export function checkPath(path: string): void {
  const parts = path.split('/')
  const problem =
    path === ''
      ? 'it is empty'
      : path.startsWith('/')
        ? 'it must be relative'
        : path.length > longestPath || parts.some((part) => part.length > longestName)
          ? 'it is too long'
          : parts.includes('..')
            ? "it must not contain '..'"
            : parts[0]!.startsWith('..')
              ? "it must not start with '..'"
              : parts.some((part) => part === '' || part === '.') || path.includes('\0')
                ? 'it has an empty part'
                : undefined
  if (problem) throw new Error(`invalid path ${JSON.stringify(path)} in the volume: ${problem}`)
}

function currentDirectory(volume: string): string | undefined {
  try {
    const name = readlinkSync(join(volume, dataLink))
    return name.includes('/') ? undefined : name
  } catch {
    return undefined
  }
}

function isSame(directory: string, payload: Payload): boolean {
  const existing = new Set(filesBelow(directory, ''))
  if (existing.size !== payload.size) return false
  return [...payload].every(([path, { data, mode, uid, gid }]) => {
    if (!existing.has(path)) return false
    const at = join(directory, path)
    const stat = lstatSync(at)
    const sameOwner = (uid === undefined || stat.uid === uid) && (gid === undefined || stat.gid === gid)
    return (stat.mode & 0o7777) === mode && sameOwner && readFileSync(at).equals(data)
  })
}

function filesBelow(directory: string, prefix: string): string[] {
  return readdirSync(join(directory, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix ? `${prefix}/${entry.name}` : entry.name
    return entry.isDirectory() ? filesBelow(directory, path) : [path]
  })
}

function writeTree(directory: string, payload: Payload, gid: number | undefined): void {
  chmodSync(directory, 0o755)
  for (const [path, content] of payload) {
    const at = join(directory, path)
    mkdirSync(dirname(at), { recursive: true, mode: 0o755 })
    writeFileSync(at, content.data, { mode: 0o600, flag: 'wx' })
    // Owner first: a change of owner takes set-id bits away.
    if (content.uid !== undefined || content.gid !== undefined) chownSync(at, content.uid ?? keep, content.gid ?? keep)
    chmodSync(at, content.mode)
  }
  if (gid !== undefined) chownSync(directory, keep, gid)
}

/** Links that users see: one for each first part of a path, through ..data. */
function linkEntries(volume: string, payload: Payload): void {
  const wanted = new Set([...payload.keys()].map((path) => path.split('/')[0]!))
  for (const name of wanted) {
    const link = join(volume, name)
    if (!lstatSync(link, { throwIfNoEntry: false })) symlinkSync(join(dataLink, name), link)
  }
  for (const name of readdirSync(volume)) if (!name.startsWith('..') && !wanted.has(name)) rmSync(join(volume, name))
}

/** Makes the volume hold exactly these files. Returns false when it already did. */
export function writePayload(volume: string, payload: Payload, gid?: number): boolean {
  for (const path of payload.keys()) checkPath(path)
  const old = currentDirectory(volume)
  if (old && existsSync(join(volume, old)) && isSame(join(volume, old), payload)) {
    linkEntries(volume, payload)
    return false
  }
  const stamp = new Date().toISOString().replaceAll(/[-T:]/g, '_').slice(0, 19)
  const fresh = mkdtempSync(join(volume, `..${stamp}.`))
  try {
    writeTree(fresh, payload, gid)
    const draft = join(volume, `${dataLink}_tmp`)
    rmSync(draft, { force: true })
    symlinkSync(fresh.slice(volume.length + 1), draft)
    renameSync(draft, join(volume, dataLink))
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    throw error
  }
  linkEntries(volume, payload)
  // Also directories that a crash between two steps left.
  for (const name of readdirSync(volume))
    if (name.startsWith('..') && name !== dataLink && join(volume, name) !== fresh)
      rmSync(join(volume, name), { recursive: true, force: true })
  return true
}
