// Which holes a version has. Pure. What cannot be judged is not called vulnerable: distributions patch old versions.

import type { GuardedProgram, Hole } from './table.ts'

export interface Version {
  /** As the program says it: "1.1.5+ds1". */
  text: string
  numbers: number[]
  /** Set for a package of Debian: the 2 of deb12u2; 0 before the first update. */
  debianUpdate?: number
}

/**
 * From what `--version` prints: "runc version 1.1.5+ds1 commit: 1.1.5+ds1-1+deb12u1", "containerd github.com/… 1.6.20~ds1
 * 1.6.20~ds1-1+deb12u3", "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)". Undefined: no version in it.
 */
export function versionIn(output: string): Version | undefined {
  const text = /(?:^|[\sv])(\d+\.\d+(?:\.\d+)*(?:[~+-][\w.~+-]*)?)/m.exec(output)?.[1]
  if (!text) return undefined
  const numbers = text
    .split(/[^\d.]/)[0]!
    .split('.')
    .map(Number)
  const update = /\+deb\d+u(\d+)/.exec(output)?.[1]
  const packaged = update !== undefined || /[~+]ds\d|dfsg/.test(output)
  return { text, numbers, ...(packaged && { debianUpdate: Number(update ?? 0) }) }
}

export type Judgement = 'fixed' | 'vulnerable' | 'unknown'

export function judge(hole: Hole, version: Version): Judgement {
  if (reaches(hole.fixed, version.numbers)) return 'fixed'
  if (version.debianUpdate === undefined || !hole.debian) return 'vulnerable'
  const first = hole.debian[version.text]
  if (first === undefined) return 'unknown'
  return first !== 'none' && version.debianUpdate >= first ? 'fixed' : 'vulnerable'
}

/** In its own release line, or newer than all of them. */
function reaches(fixed: string[], numbers: number[]): boolean {
  const lines = fixed.map((text) => text.split('.').map(Number)).sort(compare)
  const own = lines.find(([major, minor]) => major === numbers[0] && minor === numbers[1])
  return compare(numbers, own ?? lines.at(-1)!) >= 0
}

function compare(left: number[], right: number[]): number {
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0)
    if (difference) return difference
  }
  return 0
}

export interface Finding {
  hole: Hole
  /** For a person: which program, which hole, what to do. */
  message: string
}

export const findingsOf = ({ program, holes, remedy }: GuardedProgram, version: Version): Finding[] =>
  holes
    .filter((hole) => judge(hole, version) === 'vulnerable')
    .map((hole) => ({
      hole,
      message: `${program} ${version.text} has ${hole.cve} (${hole.means}): ${remedy}`,
    }))
