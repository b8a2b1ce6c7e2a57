// Which VM has which address of the pod network: given once, kept by namespace/name until the VM is deleted.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { formatAddress, parseAddress } from './addresses.ts'

export interface Leases {
  get(key: string): string | undefined
  /** The address of the key; a new one when it has none yet. @throws Error when the range is used up. */
  reserve(key: string): string
  release(key: string): void
  keys(): string[]
}

/**
 * The next free address after the last one given, so that an address just given back is not another VM's at once.
 * Addresses that end in 0 or 255 are left out: some guests take them for a network or a broadcast.
 */
export function nextFree(first: number, last: number, after: number, taken: Set<number>): number | undefined {
  const size = last - first + 1
  const start = after >= first && after <= last ? after - first + 1 : 0
  for (let step = 0; step < size; step++) {
    const address = first + ((start + step) % size)
    const end = address % 256
    if (end !== 0 && end !== 255 && !taken.has(address)) return address
  }
  return undefined
}

interface LeaseFile {
  last: string
  leases: Record<string, string>
}

function save(path: string, content: LeaseFile): void {
  mkdirSync(dirname(path), { recursive: true })
  const file = openSync(`${path}.new`, 'w', 0o600)
  writeFileSync(file, JSON.stringify(content, null, 1))
  fsyncSync(file)
  closeSync(file)
  renameSync(`${path}.new`, path)
}

export function openLeases(path: string, first: number, last: number): Leases {
  const content: LeaseFile = existsSync(path)
    ? (JSON.parse(readFileSync(path, 'utf8')) as LeaseFile)
    : { last: formatAddress(first - 1), leases: {} }
  const inRange = (address: string) => {
    const number = parseAddress(address) ?? -1
    return number >= first && number <= last
  }
  const get = (key: string) => {
    const address = Object.hasOwn(content.leases, key) ? content.leases[key] : undefined
    // After the pod range was changed in the settings, an old address would lead nowhere.
    return address && inRange(address) ? address : undefined
  }
  return {
    get,
    reserve(key) {
      const known = get(key)
      if (known) return known
      const taken = new Set(Object.values(content.leases).map((address) => parseAddress(address) ?? 0))
      const address = nextFree(first, last, parseAddress(content.last) ?? first, taken)
      if (address === undefined)
        throw new Error(
          `no address is left for ${key} between ${formatAddress(first)} and ${formatAddress(last)}: delete VMs that are not needed`,
        )
      content.leases[key] = content.last = formatAddress(address)
      save(path, content)
      return content.last
    },
    release(key) {
      if (!Object.hasOwn(content.leases, key)) return
      delete content.leases[key]
      save(path, content)
    },
    keys: () => Object.keys(content.leases),
  }
}
