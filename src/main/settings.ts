// Choices that are made once and kept: the address ranges of this Tandem, and where it listens.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { type Config, settingsPath } from '../config.ts'
import { tryLock } from '../host/lock.ts'
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

/** Until their routes are there, the ranges are ours by lock: two Tandems may be started for the first time at once. */
async function choose(config: Config): Promise<Settings> {
  const used = await usedRanges()
  const { podCidr, serviceCidr } = config
  if (podCidr && serviceCidr) return { podCidr, serviceCidr }
  for (;;) {
    const ranges = chooseRanges(used, { ...(podCidr && { podCidr }), ...(serviceCidr && { serviceCidr }) })
    // Only what was chosen here: a range that somebody has named stays what it is.
    const chosen = podCidr ? ranges.serviceCidr : ranges.podCidr
    if (await tryLock(`tandem-range-${chosen}`)) return ranges
    used.push(chosen)
  }
}
