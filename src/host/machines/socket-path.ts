// Connecting to a unix socket whose path is longer than the 107 bytes that the kernel takes: by way of an open directory.

import { closeSync, openSync } from 'node:fs'
import { basename, dirname } from 'node:path'

const longest = 107

/** Runs `connect` with a path that names the same socket and is short enough. */
export async function withSocketPath<T>(path: string, connect: (path: string) => Promise<T>): Promise<T> {
  if (Buffer.byteLength(path) <= longest) return await connect(path)
  const directory = openSync(dirname(path), 'r')
  try {
    return await connect(`/proc/self/fd/${directory}/${basename(path)}`)
  } finally {
    closeSync(directory)
  }
}
