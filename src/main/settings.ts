// Choices made at the first start and kept: the address ranges of this Tandem.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { Config } from '../config.ts'
import { chooseRanges, usedRanges } from '../host/network/ranges.ts'

export interface Settings {
  podCidr: string
  serviceCidr: string
}

/** Reads them, or chooses free ranges and writes them down. */
export async function loadSettings(path: string, config: Config): Promise<Settings> {
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Settings
  const settings = chooseRanges(await usedRanges(), {
    ...(config.podCidr && { podCidr: config.podCidr }),
    ...(config.serviceCidr && { serviceCidr: config.serviceCidr }),
  })
  writeFileSync(`${path}.new`, JSON.stringify(settings, null, 2), { mode: 0o600 })
  renameSync(`${path}.new`, path)
  return settings
}
