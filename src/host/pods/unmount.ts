// Ends what is mounted below a directory, before it is removed.

import { readFile } from 'node:fs/promises'
import { run } from '../exec.ts'

/** Innermost first. A mount that is still busy is detached: nothing of ours runs any more. */
export async function unmountBelow(dirs: string[]): Promise<void> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8')
  const points = mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((point) => point.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))))
    .filter((point) => dirs.some((dir) => point === dir || point.startsWith(`${dir}/`)))
  for (const point of points.reverse()) await run(['umount', '--lazy', point], { allowFailure: true })
}
