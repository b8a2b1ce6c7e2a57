// What is said of a VMM while Tandem runs: its program may come, go, or become another version. A look costs a few stats;
// the program is asked for its version once, and KVM is asked about when there is a program.

import { statSync } from 'node:fs'
import type { Accelerator } from '../machines/accelerator.ts'
import type { VmmDriver } from './driver.ts'
import { type FoundVmm, findVmm, vmmProgram, vmmVerdict } from './readiness.ts'

export interface WatchedVerdict {
  /** Unknown: the next look tells. */
  ready: 'True' | 'False' | 'Unknown'
  reason: string
}

export interface VmmWatchOptions {
  driver: VmmDriver
  proof(): Promise<Accelerator>
  /** For tests. */
  program?: () => string | undefined
  find?: () => Promise<FoundVmm | undefined>
}

export function watchVmm(options: VmmWatchOptions): () => WatchedVerdict {
  const { driver, proof } = options
  const program = options.program ?? (() => vmmProgram(driver))
  const find = options.find ?? (() => findVmm(driver))
  let asked = ''
  let verdict: WatchedVerdict | undefined

  async function ask(mark: string): Promise<void> {
    const [found, proved] = await Promise.all([find().catch(() => undefined), proof()])
    if (asked === mark) verdict = told(found, proved)
  }

  function told(found: FoundVmm | undefined, proved?: Accelerator): WatchedVerdict {
    const { ready, reason } = vmmVerdict(driver, found, proved)
    return { ready: ready ? 'True' : 'False', reason }
  }

  return () => {
    const path = program()
    if (!path) {
      asked = ''
      return told(undefined)
    }
    const { mtimeMs, size, ino } = statSync(path)
    const mark = `${path} ${mtimeMs} ${size} ${ino}`
    if (mark !== asked) {
      asked = mark
      verdict = undefined
      void ask(mark)
    }
    return verdict ?? { ready: 'Unknown', reason: '' }
  }
}
