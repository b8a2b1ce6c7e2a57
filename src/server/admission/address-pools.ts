// ClusterIPs from several ranges: the one that this Tandem was given, and those of ServiceCIDRs that people add.

import type { ApiObject } from '../../api/meta.ts'
import { createNumberPool, type NumberPool, type NumberRange } from './number-pool.ts'

export const toNumber = (address: string): number =>
  address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

export const toAddress = (number: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')

/** Network and broadcast address stay out, and the low end is for people who choose (ServiceIPStaticSubrange). */
export function addressRange(cidr: string): NumberRange {
  const [base = '', bits = '24'] = cidr.split('/')
  const size = 2 ** (32 - Number(bits))
  const network = Math.floor(toNumber(base) / size) * size
  const reserved = Math.min(Math.max(16, size / 16), 256)
  const first = network + 1
  const last = network + size - 2
  return { first, last, dynamicFrom: Math.min(first + reserved, last) }
}

export interface AddressPools extends NumberPool {
  /** The ranges besides the first, and who holds which address now. */
  extend(cidrs: string[], held: Iterable<readonly [number: number, owner: string]>): void
  /** For error texts. */
  ranges(): string
}

const isIPv4Range = (cidr: string): boolean => /^\d+(\.\d+){3}\/\d+$/.test(cidr)

/** The IPv4 ranges of a ServiceCIDR that may be used: one that is being deleted gives no new addresses. */
export const rangesOf = ({ metadata, spec }: ApiObject): string[] =>
  metadata.deletionTimestamp ? [] : ((spec?.cidrs ?? []) as string[]).filter(isIPv4Range)

export function createAddressPools(cidr: string): AddressPools {
  const own = createNumberPool(addressRange(cidr))
  let more: { cidr: string; pool: NumberPool }[] = []
  const all = () => [own, ...more.map(({ pool }) => pool)]
  return {
    take(number, owner) {
      // Ranges may overlap: an address is free only when it is free in each of them that has it.
      const results = all().map((pool) => pool.take(number, owner))
      if (results.includes('taken')) {
        for (const [index, pool] of all().entries()) if (results[index] === 'ok') pool.release(number, owner)
        return 'taken'
      }
      return results.includes('ok') ? 'ok' : 'outside'
    },
    next(owner) {
      for (const pool of all()) {
        const number = pool.next(owner)
        if (number === undefined) continue
        for (const other of all()) if (other !== pool) other.take(number, owner)
        return number
      }
      return undefined
    },
    release(number, owner) {
      for (const pool of all()) pool.release(number, owner)
    },
    extend(cidrs, held) {
      const known = new Map(more.map((entry) => [entry.cidr, entry]))
      const holders = [...held]
      more = [...new Set(cidrs)]
        .filter((each) => each !== cidr)
        .map((each) => {
          const before = known.get(each)
          if (before) return before
          const pool = createNumberPool(addressRange(each))
          for (const [number, owner] of holders) pool.take(number, owner)
          return { cidr: each, pool }
        })
    },
    ranges: () => [cidr, ...more.map((entry) => entry.cidr)].join(', '),
  }
}
