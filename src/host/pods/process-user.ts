// Whom the first process of a container runs as, read from the process itself: what the Pod, the image and its files of
// users come to.

import { readFileSync } from 'node:fs'
import type { ContainerRecord, SandboxRecord } from './records.ts'

/** In another kernel the users of the process are not to be seen from here: its pid is that kernel's. */
export const onHostKernel = ({ handler }: SandboxRecord): boolean => ['', 'runc', 'crun'].includes(handler)

/** @param info containerd's own words about a container (JSON with its pid) */
export function userOf(info: string | undefined): Pick<ContainerRecord, 'user'> {
  try {
    const { pid = 0 } = JSON.parse(info ?? '{}') as { pid?: number }
    return pid > 0 ? { user: parseUser(readFileSync(`/proc/${pid}/status`, 'utf8')) } : {}
  } catch {
    // It has ended already.
    return {}
  }
}

export function parseUser(status: string): { uid: number; gid: number; supplementalGroups: number[] } {
  const numbers = (name: string) =>
    (new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? '').split(/\s+/).filter(Boolean).map(Number)
  return { uid: numbers('Uid')[0] ?? 0, gid: numbers('Gid')[0] ?? 0, supplementalGroups: numbers('Groups') }
}
