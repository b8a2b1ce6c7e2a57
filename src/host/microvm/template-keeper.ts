// Makes the templates that micro-VMs go on from, when a machine was started for which there was none, and throws away those
// that are of no use. It is told by files: the runtime that starts machines is another process each time.

import { createHash } from 'node:crypto'
import { constants, existsSync, type FSWatcher, mkdirSync, readdirSync, readFileSync, statSync, watch } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../../base/log.ts'
import { tryLock } from '../lock.ts'
import { bakeTemplate, unfinished } from './bake-template.ts'
import { partsFolder } from './parts-folder.ts'
import { askedFolder, failureNote } from './places.ts'
import {
  type Asked,
  findTemplate,
  keyOf,
  programsOf,
  templateFolder,
  templatesFolder,
  templatesToRemove,
} from './templates.ts'

export interface TemplateKeeper {
  stop(): Promise<void>
}

interface KeeperOptions {
  run: string
  home: string
  log: Logger
}

/** By then a machine that could not go on from its template has said so. */
const failureKnownMs = 30_000

export function keepTemplates({ run, home, log }: KeeperOptions): TemplateKeeper {
  const asked = askedFolder({ run })
  const stopping = new AbortController()
  const seen = new Set<string>()
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  let work = Promise.resolve()
  mkdirSync(asked, { recursive: true, mode: 0o700 })

  const queue = (task: () => Promise<void>) => {
    work = work.then(async () => {
      if (stopping.signal.aborted) return
      await task().catch((error) => {
        if (!stopping.signal.aborted) log.warn('template of micro-VMs', { error })
      })
    })
  }

  /** Others may share the folder of templates: one at a time changes it. */
  async function alone(task: () => Promise<void>): Promise<void> {
    const name = createHash('sha256').update(home).digest('hex').slice(0, 16)
    const lock = await tryLock(`tandem-templates-${name}`)
    if (!lock) return
    try {
      await task()
    } finally {
      lock.close()
    }
  }

  async function make({ key, inputs }: Asked): Promise<void> {
    const parts = partsFolder(home)
    // Sources that are newer than this process ask for what it cannot make.
    const own = { ...inputs, programs: programsOf(parts, inputs.hardware.accelerator) }
    if (keyOf(own) !== key || findTemplate(home, key)) return
    const start = performance.now()
    await bakeTemplate({ home, parts, signal: stopping.signal }, inputs)
    log.info('template of micro-VMs saved', { key, ms: Math.round(performance.now() - start) })
    for (const old of templatesToRemove(knownTemplates(home), inputs.programs)) await discard(home, old)
  }

  async function notice(name: string): Promise<void> {
    const path = join(asked, name)
    if (seen.has(name) || name.endsWith('.new') || !existsSync(path)) return
    seen.add(name)
    const request: Asked = JSON.parse(readFileSync(path, 'utf8'))
    const done = async () => {
      await rm(path, { force: true })
      seen.delete(name)
    }
    if (!request.used) {
      queue(() => alone(() => make(request)).finally(done))
      return
    }
    const look = () =>
      queue(async () => {
        timers.delete(name)
        const failure = await failureOf(failureNote({ run }, name))
        if (failure) {
          log.warn('a micro-VM could not go on from its template', { sandbox: name, key: request.key, failure })
          await alone(() => discard(home, request.key))
        }
        await done()
      })
    timers.set(name, setTimeout(look, failureKnownMs).unref())
  }

  const lookAt = (name: string) => void notice(name).catch((error) => log.warn('template of micro-VMs', { error }))
  const watcher: FSWatcher = watch(asked, { persistent: false }, (_, name) => name && lookAt(name))
  watcher.on('error', (error) => log.warn('template of micro-VMs', { error }))
  queue(() => alone(() => sweep(home)))
  for (const name of readdirSync(asked)) lookAt(name)

  return {
    async stop() {
      stopping.abort()
      watcher.close()
      for (const timer of timers.values()) clearTimeout(timer)
      await work
    },
  }
}

function knownTemplates(home: string): { key: string; used: number }[] {
  return readdirSync(templatesFolder(home))
    .filter((name) => !name.startsWith('.'))
    .map((key) => ({ key, used: statSync(templateFolder(home, key)).mtimeMs }))
}

/** Out of sight at once, then gone. */
async function discard(home: string, key: string): Promise<void> {
  const aside = join(templatesFolder(home), `${unfinished}old-${key}`)
  await rm(aside, { recursive: true, force: true })
  if (!existsSync(templateFolder(home, key))) return
  await rename(templateFolder(home, key), aside)
  await rm(aside, { recursive: true, force: true })
}

/** What was being made or thrown away when its process ended. */
async function sweep(home: string): Promise<void> {
  if (!existsSync(templatesFolder(home))) return
  for (const name of readdirSync(templatesFolder(home)))
    if (name.startsWith(unfinished)) await rm(join(templatesFolder(home), name), { recursive: true, force: true })
}

/** Written by a user who is not trusted: a plain file and short, or nothing. */
async function failureOf(path: string): Promise<string | undefined> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(path, flags).catch(() => undefined)
  if (!file) return undefined
  try {
    if (!(await file.stat()).isFile()) return 'unknown'
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(300), position: 0 })
    return buffer.toString('utf8', 0, bytesRead).trim() || 'unknown'
  } finally {
    await file.close()
  }
}
