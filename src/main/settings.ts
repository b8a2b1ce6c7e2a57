// Choices that are made once and kept: the address ranges of this Tandem, and where it listens.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { type Config, settingsPath } from '../config.ts'
import { chooseRanges, usedRanges } from '../host/network/ranges.ts'

export interface Settings {
  podCidr: string
  serviceCidr: string
  listen?: Config['listen']
}

/** Reads them, or chooses free ranges and writes them down. */
export async function loadSettings(config: Config): Promise<Settings> {
  const path = settingsPath(config.stateDir)
  const known = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Settings) : await choose(config)
  const settings: Settings = { ...known, listen: config.listen }
  if (JSON.stringify(known) !== JSON.stringify(settings)) {
    writeFileSync(`${path}.new`, JSON.stringify(settings, null, 2), { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
  return settings
}

const choose = async (config: Config): Promise<Settings> =>
  chooseRanges(await usedRanges(), {
    ...(config.podCidr && { podCidr: config.podCidr }),
    ...(config.serviceCidr && { serviceCidr: config.serviceCidr }),
  })
