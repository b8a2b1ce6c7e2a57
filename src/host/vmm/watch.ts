// What is said of a VMM while Tandem runs: its program may come, go, or become another version, and KVM is proved meanwhile.
// A look costs a few stats; the program is asked for its version once.

import { statSync } from 'node:fs'
import type { Accelerator } from '../machines/accelerator.ts'
import type { VmmDriver } from './driver.ts'
import { type FoundVmm, findVmm, vmmProgram, vmmVerdict } from './readiness.ts'

export interface WatchedVerdict {
  ready: 'True' | 'False' | 'Unknown'
  reason: string
}

export interface VmmWatchOptions {
  driver: VmmDriver
  accelerator: Promise<Accelerator>
  /** There is more to say than at the last look. */
  changed(): void
  /** For tests. */
  program?: () => string | undefined
  find?: () => Promise<FoundVmm | undefined>
}

const unknown: WatchedVerdict = { ready: 'Unknown', reason: '' }

export function watchVmm(options: VmmWatchOptions): () => WatchedVerdict {
  const { driver, changed } = options
  const program = options.program ?? (() => vmmProgram(driver))
  const find = options.find ?? (() => findVmm(driver))
  let proved: Accelerator | undefined
  let asked = ''
  let found: FoundVmm | undefined
  void options.accelerator.then(
    (accelerator) => {
      proved = accelerator
      changed()
    },
    () => {},
  )

  async function ask(mark: string): Promise<void> {
    const answer = await find().catch(() => undefined)
    if (asked !== mark) return
    found = answer
    changed()
  }

  return () => {
    const path = program()
    if (!path) {
      asked = ''
      found = undefined
    } else {
      const { mtimeMs, size, ino } = statSync(path)
      const mark = `${path} ${mtimeMs} ${size} ${ino}`
      if (mark !== asked) {
        asked = mark
        found = undefined
        void ask(mark)
      }
      if (!found || !proved) return unknown
    }
    const { ready, reason } = vmmVerdict(driver, found, proved)
    return { ready: ready ? 'True' : 'False', reason }
  }
}
