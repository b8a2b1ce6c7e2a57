// Saved states that micro-VMs go on from (pure but for reading): one for each size, kernel, initial file system and QEMU.
// templates/<key>/ holds the memory, the state of the devices and template.json, which is written last; what is being made
// or thrown away has a name with a dot in front. Nothing of any Pod is in it: the guest waits for its first.

import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { cpus } from 'node:os'
import { basename, join } from 'node:path'
import { emulator, type Hardware, templateArgv } from './machine-argv.ts'

export interface TemplateInputs {
  /** Kernel, initial file system, QEMU and processor: another one of these, and all templates are of no use any more. */
  programs: string
  hardware: Hardware
}

/** What is told of a machine that was started. */
export interface Asked {
  key: string
  inputs: TemplateInputs
  /** It goes on from that template; else it boots, for there is none. */
  used: boolean
}

export const templatesFolder = (home: string): string => join(home, 'templates')
export const templateFolder = (home: string, key: string): string => join(templatesFolder(home), key)

/** Two folders cannot have the same name: programs first, so that all of other programs are known by their name. */
export function keyOf({ programs, hardware }: TemplateInputs): string {
  const { memoryBytes, cpus: processors, accelerator } = hardware
  return `${programs}-${accelerator}-${Math.ceil(memoryBytes / 2 ** 20)}m-${processors}`
}

/** Runs in the sandbox; it goes with the template that it knows how to handle. */
export const goOnScript = join(import.meta.dirname, 'go-on.pl')
export const goOnFile = 'go-on.pl'

/** Another one with each change of what is saved, and how. */
const format = 1

/** What a file is known by without reading it. */
function marksOf(path: string): string {
  const { size, mtimeMs, ino } = statSync(path)
  return `${basename(path)} ${size} ${mtimeMs} ${ino}`
}

/** @throws Error where one of them is not there */
export function programsOf(parts: string, accelerator: Hardware['accelerator']): string {
  const argv = templateArgv({ memoryBytes: 0, cpus: 1, accelerator })
  const files = [emulator, join(parts, 'vmlinuz'), join(parts, 'initrd')].map(marksOf)
  const processor = accelerator === 'kvm' ? (cpus()[0]?.model ?? '') : ''
  const facts = [format, processor, ...files, ...argv, readFileSync(goOnScript, 'utf8')]
  return createHash('sha256').update(facts.join('\n')).digest('hex').slice(0, 16)
}

export interface TemplateNote {
  /** Sizes of the two files: another one is not what was saved. */
  memory: number
  devices: number
}

export const noteFile = 'template.json'

/** The folder of a template that is whole, and undefined else. */
export function findTemplate(home: string, key: string): string | undefined {
  const folder = templateFolder(home, key)
  try {
    const note: TemplateNote = JSON.parse(readFileSync(join(folder, noteFile), 'utf8'))
    const whole = (['memory', 'devices'] as const).every((name) => statSync(join(folder, name)).size === note[name])
    return whole ? folder : undefined
  } catch {
    return undefined
  }
}

/** How many templates are kept: each takes what a guest has written up to there, some 80 MiB of the disk. */
export const mostTemplates = 8

/** Which of these go: those of other programs, and the longest unused. `used`: in milliseconds. */
export function templatesToRemove(known: { key: string; used: number }[], programs: string): string[] {
  const [current, stale] = [true, false].map((same) =>
    known.filter(({ key }) => key.startsWith(`${programs}-`) === same).sort((a, b) => b.used - a.used),
  )
  return [...stale!, ...current!.slice(mostTemplates)].map(({ key }) => key)
}
