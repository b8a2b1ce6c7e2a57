// What this machine can do for Pods, looked up once: it does not change while the machine runs.

import { readFileSync } from 'node:fs'
import type { NodeAbilities } from './node-admission.ts'

let known: NodeAbilities | undefined

export function nodeAbilities(): NodeAbilities {
  known ??= { appArmor: textOf('/sys/module/apparmor/parameters/enabled').startsWith('Y') }
  return known
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
