// Makes a raw disk of an image in another format. qemu-img gets both files open and the format told; it is asked first
// whether the image refers to other files, and then works within bounds.

import { closeSync, constants, openSync } from 'node:fs'
import { chown, open } from 'node:fs/promises'
import { ImportError, tooSmall } from './failure.ts'
import type { ImportFormat } from './format.ts'
import { runSandboxed, type SandboxRequest } from './sandbox.ts'

const gibibyte = 2 ** 30

export interface Conversion {
  source: string
  format: ImportFormat
  /** A new file, made here. */
  target: string
  /** Bytes of the target. */
  size: number
  uid: number
  hidden: string
  cwd: string
  preallocate: boolean
  signal: AbortSignal
  onProgress(percent: number): void
}

const bounds = { cpuSeconds: 3600, wallMs: 2 * 3600_000, memoryBytes: 2 * gibibyte }
const quick = { cpuSeconds: 20, wallMs: 30_000, memoryBytes: gibibyte, fileBytes: 0 }

export async function convert(conversion: Conversion): Promise<void> {
  const { source, target, size, uid } = conversion
  const input = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW)
  let output: number | undefined
  try {
    const virtualSize = await inspect(conversion, input)
    if (virtualSize > size) throw tooSmall(virtualSize, size)
    const file = await open(target, 'wx', 0o600)
    try {
      await file.truncate(size)
    } finally {
      await file.close()
    }
    await chown(target, uid, uid)
    output = openSync(target, constants.O_RDWR | constants.O_NOFOLLOW)
    await write(conversion, input, output)
  } finally {
    closeSync(input)
    if (output !== undefined) closeSync(output)
  }
}

const within = ({
  uid,
  hidden,
  cwd,
  signal,
}: Conversion): Pick<SandboxRequest, 'uid' | 'hidden' | 'cwd' | 'signal'> => ({
  uid,
  hidden,
  cwd,
  signal,
})

/** The size that the guest will see. @throws ImportError when it is not an image that stands alone */
async function inspect(conversion: Conversion, input: number): Promise<number> {
  const argv = ['qemu-img', 'info', '--output=json', '-f', conversion.format, '/proc/self/fd/3']
  const running = runSandboxed({ argv, files: [input], bounds: quick, ...within(conversion) })
  let text = ''
  running.child.stdout!.on('data', (chunk: Buffer) => {
    if (text.length < 1 << 20) text += chunk.toString()
  })
  await running.ended.catch((error: Error) => {
    throw new ImportError(`Unable to obtain information about data source: ${error.message}`, { cause: error })
  })
  const info = JSON.parse(text)
  const names = ['backing-filename', 'full-backing-filename', 'backing-image']
  const refers = names.find((name) => info[name] !== undefined)
  if (refers) throw new ImportError(`Image is invalid because it has invalid backing file ${info[refers]}`)
  const specific = info['format-specific']?.data ?? {}
  if (specific['data-file'] !== undefined || (specific.extents?.length ?? 1) > 1)
    throw new ImportError('Image is invalid because it keeps its data in another file')
  if (info.encrypted) throw new ImportError('Image is invalid because it is encrypted')
  return Number(info['virtual-size'])
}

async function write(conversion: Conversion, input: number, output: number): Promise<void> {
  const { format, size, preallocate, onProgress } = conversion
  const how = ['-p', '-n', '--target-is-zero', '-W', '-f', format, '-O', 'raw', ...(preallocate ? ['-S', '0'] : [])]
  const running = runSandboxed({
    argv: ['qemu-img', 'convert', ...how, '/proc/self/fd/3', '/proc/self/fd/4'],
    files: [input, output],
    bounds: { ...bounds, fileBytes: size },
    ...within(conversion),
  })
  running.child.stdout!.on('data', (chunk: Buffer) => {
    const found = /\((\d+\.\d+)\/100%\)[^(]*$/.exec(chunk.toString())
    if (found) onProgress(Number(found[1]))
  })
  await running.ended.catch((error: Error) => {
    throw new ImportError(`Conversion to Raw failed: ${error.message}`, { cause: error })
  })
}
