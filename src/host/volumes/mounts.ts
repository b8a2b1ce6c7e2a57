// Mounts on this machine: tmpfs, and what is mounted below a directory.

import { readFileSync, rmdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { run } from '../exec.ts'

export interface Mounts {
  tmpfs(path: string, options: { size?: number; mode: string }): Promise<void>
  /** True for a directory that a file system of its own is mounted on, as tmpfs does. */
  isOwn(directory: string): boolean
  /** Mount points at or below the directory, innermost first. */
  below(directory: string): string[]
  unmount(path: string): Promise<void>
}

/** Paths in mountinfo have blanks as \040. */
const unescapePath = (text: string) =>
  text.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)))

export function mountPoints(mountinfo: string, directory: string): string[] {
  const points = mountinfo
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .map(unescapePath)
    .filter((point) => point === directory || point.startsWith(`${directory}/`))
  // Two mounts on one point stand twice in the list and are both taken away.
  return points.reverse().sort((a, b) => b.split('/').length - a.split('/').length)
}

export const systemMounts: Mounts = {
  async tmpfs(path, { size, mode }) {
    const options = [`mode=${mode}`, 'nosuid', 'nodev', ...(size ? [`size=${size}`] : [])]
    await run(['mount', '-t', 'tmpfs', '-o', options.join(','), 'tmpfs', path])
  },
  // The list of all mounts is long where there are many Pods: two looks at the directory tell the same.
  isOwn: (directory) => statSync(directory).dev !== statSync(dirname(directory)).dev,
  below: (directory) => mountPoints(readFileSync('/proc/self/mountinfo', 'utf8'), directory),
  async unmount(path) {
    const { code, stderr } = await run(['umount', path], { allowFailure: true })
    if (code === 0 || /not mounted|no mount point/.test(stderr)) return
    // Something of a container that just ended may still hold it; it goes when that lets go.
    await run(['umount', '--lazy', path])
  },
}

export function removeEmpty(path: string): void {
  try {
    if (statSync(path).isDirectory()) rmdirSync(path)
  } catch {
    // Not empty or not there: somebody else's, or nothing to do.
  }
}
