// Before an archive's image goes to containerd: would its layers unpack within the limits? So a bad archive imports nothing.

import { Readable } from 'node:stream'
import { EmptyError, unpacked } from './decompress.ts'
import { createLayerGauge } from './layer-gauge.ts'
import { type LayerLimits, layerWords } from './layer-limits.ts'
import type { TarEntry } from './tar-reader.ts'

/** @throws LayerRefused, CompressionError */
export async function checkLayers(
  entries: AsyncIterable<TarEntry>,
  layers: ReadonlySet<string>,
  limits: LayerLimits,
): Promise<void> {
  for await (const entry of entries) {
    if (entry.type !== 'file' || !layers.has(entry.name)) continue
    const gauge = createLayerGauge(limits, layerWords(limits))
    try {
      for await (const chunk of unpacked(() => Readable.from(entry.body()))) gauge.push(chunk)
    } catch (error) {
      if (!(error instanceof EmptyError)) throw error
    }
  }
}
