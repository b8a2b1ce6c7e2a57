// Takes what somebody uploads into a claim: first all of it into a file, then the same way as everything that is imported.
// Answers: CDI 1.65 (pkg/uploadproxy, pkg/uploadserver).

import { createWriteStream } from 'node:fs'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { StoredObject } from '../../api/meta.ts'
import { quantityValue, tryParseQuantity } from '../../api/quantity.ts'
import { claimDiskSize } from '../machines/claim-disk.ts'
import { tooSmall } from './failure.ts'
import { looksRaw } from './format.ts'
import type { Importer } from './importer.ts'

export interface UploadAnswer {
  status: number
  text?: string
}

export interface Upload {
  namespace: string
  claim: string
  /** Answer when all is here, not when it is in its place. */
  async: boolean
  /** undefined: may I upload? */
  body?: AsyncIterable<Buffer>
}

export type TakeUpload = (upload: Upload) => Promise<UploadAnswer>

function capacityOf({ status }: StoredObject): number {
  const capacity = tryParseQuantity(String(status?.capacity?.storage ?? ''))
  return capacity ? Number(quantityValue(capacity)) : 0
}

export function createUploads(importer: Importer): TakeUpload {
  const busy = new Set<string>()

  async function receive(directory: string, body: AsyncIterable<Buffer>, room: number, disk: number): Promise<string> {
    await mkdir(directory, { recursive: true, mode: 0o711 })
    await chmod(directory, 0o711)
    const file = join(directory, 'upload')
    let size = 0
    const counted = async function* () {
      let most = room
      for await (const chunk of body) {
        if (size === 0 && disk > 0 && looksRaw(chunk)) most = disk
        size += chunk.length
        if (most > 0 && size > most) throw tooSmall(size, most)
        yield chunk
      }
    }
    await pipeline(counted, createWriteStream(file, { flags: 'w', mode: 0o600 }))
    return file
  }

  return async ({ namespace, claim: name, async, body }) => {
    const target = importer.uploadTarget(namespace, name)
    if (typeof target === 'string') return { status: 503, text: target }
    if (!body) return { status: 200 }
    const { claim, order } = target
    const { uid } = claim.metadata
    if (busy.has(uid)) return { status: 503, text: 'an upload into this PVC is under way' }
    busy.add(uid)
    const directory = importer.workDirectory(claim)
    let filling: Promise<void>
    try {
      const room = { capacityBytes: capacityOf(claim), isBlock: claim.spec.volumeMode === 'Block' }
      // An image in another format may be longer than its claim has room for.
      const file = await receive(directory, body, room.capacityBytes * 2, order.archive ? 0 : claimDiskSize(room))
      filling = importer.fill(claim, order, file)
      filling.catch(() => {})
    } catch (error) {
      busy.delete(uid)
      await rm(directory, { recursive: true, force: true })
      return refusal(error as Error)
    }
    const ended = filling.finally(() => busy.delete(uid))
    ended.catch(() => {})
    if (async) return { status: 200 }
    try {
      await ended
      return { status: 200 }
    } catch (error) {
      return refusal(error as Error)
    }
  }
}

function refusal(error: Error): UploadAnswer {
  const isFull = /larger than the reported available storage/.test(error.message)
  const text = isFull
    ? `effective image size is larger than the reported available storage: ${error.message}`
    : error.message
  return { status: isFull ? 400 : 500, text: `Saving stream failed: ${text}` }
}
