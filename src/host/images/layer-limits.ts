// How much one layer of an image may unpack to, and what is said of one that would be more. containerd unpacks, so what
// measures (layer-filter.ts) runs below it; the limits lie in a file that both it and Tandem read.

import { readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface LayerLimits {
  /** Of one layer, unpacked. */
  bytes: number
  entries: number
}

const gibibyte = 2 ** 30

/** Far beyond any image that somebody wants; the largest known ones (machine learning) have layers of 20 GiB. */
export const defaultLayerLimits: LayerLimits = { bytes: 64 * gibibyte, entries: 1_000_000 }

/** What stays free on the file system whatever comes in; of a small one, a twentieth. */
const reserve = { bytes: gibibyte, inodes: 50_000 }

export const layerLimitsFile = (root: string): string => join(root, 'layer-limits.json')

/** At each start of Tandem; without a setting the defaults hold. */
export function writeLayerLimits(root: string, limits: Partial<LayerLimits>): void {
  if (Object.keys(limits).length === 0) rmSync(layerLimitsFile(root), { force: true })
  else writeFileSync(layerLimitsFile(root), `${JSON.stringify(limits)}\n`)
}

/** A file that is damaged raises no limit. */
export function readLayerLimits(root: string): LayerLimits {
  try {
    const { bytes, entries } = JSON.parse(readFileSync(layerLimitsFile(root), 'utf8'))
    return {
      bytes: bytes > 0 ? bytes : defaultLayerLimits.bytes,
      entries: entries > 0 ? entries : defaultLayerLimits.entries,
    }
  } catch {
    return defaultLayerLimits
  }
}

/** In at most 100 bytes each and without a slash: they travel as the name of a link (layer-filter.ts). */
export const layerWords = ({ bytes, entries }: LayerLimits) => ({
  tooLarge: `a layer unpacks to more than ${inUnits(bytes)} (TANDEM_LAYER_BYTES sets another limit)`,
  tooMany: `a layer has more than ${entries} entries (TANDEM_LAYER_ENTRIES sets another limit)`,
})

/** `bytes`: those that are about to be written. Undefined: there is room. */
export function noRoomIn(directory: string, bytes: number): string | undefined {
  const { bavail, bsize, blocks, files, ffree } = statfsSync(directory)
  const kept = Math.min(reserve.bytes, (blocks * bsize) / 20)
  if (bavail * bsize - bytes < kept)
    return `too little room for a layer: ${Math.ceil(kept / 2 ** 20)} MiB of the disk stay free (remove something)`
  // Some file systems (btrfs) make inodes as they need them, and have none to count.
  const inodes = Math.min(reserve.inodes, Math.ceil(files / 20))
  if (files > 0 && ffree < inodes)
    return `too few inodes for a layer: ${inodes} of the disk stay free (remove small files)`
  return undefined
}

function inUnits(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  for (; bytes >= 1024 && bytes % 1024 === 0 && unit < units.length - 1; unit++) bytes /= 1024
  return `${bytes} ${units[unit]}`
}

const mark = 'tandem refuses: '

/** The link's target, which is not there: whoever unpacks says so, and with it why. */
export const refusalTarget = (words: string): string => `${mark}${words.replaceAll('/', ' ').slice(0, 84)}`

/** What the filter said, out of what containerd says. */
export function refusalIn(message: string): string | undefined {
  return new RegExp(`${mark}(.*?) /[^ ]*: no such file`, 's').exec(message)?.[1]
}
