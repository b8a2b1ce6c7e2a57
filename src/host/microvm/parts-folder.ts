// Where the parts of micro-VMs are, for those who start machines: they need not know how parts are made.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Parts {
  kernel: string
  initrd: string
  /** Root of the programs on this side: busybox, and what reaches the guest. */
  tools: string
}

/** Programs of the guest that are Tandem's own, and of this side. */
export const guestFolder = join(import.meta.dirname, 'guest')
export const clientFolder = join(import.meta.dirname, 'client')

export const partsOf = (folder: string): Parts => ({
  kernel: join(folder, 'vmlinuz'),
  initrd: join(folder, 'initrd'),
  tools: join(folder, 'tools'),
})

/** Another one for other scripts: parts in use stay where they are. */
export function partsFolder(home: string): string {
  const hash = createHash('sha256')
  for (const folder of [clientFolder, guestFolder])
    for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)))
  hash.update(readFileSync(join(import.meta.dirname, 'parts.ts')))
  return join(home, `parts-${hash.digest('hex').slice(0, 16)}`)
}
