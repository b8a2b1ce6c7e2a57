// IPv4 addresses and ranges as numbers: parse, print, contain, overlap.

export interface Range {
  first: number
  prefix: number
}

/** '10.0.0.1' → 167772161; undefined for anything that is not four decimal bytes. */
export function parseAddress(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (!match) return undefined
  const bytes = match.slice(1).map(Number)
  if (bytes.some((byte) => byte > 255)) return undefined
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0)
}

export const formatAddress = (address: number): string =>
  [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')

export const sizeOf = (range: Range): number => 2 ** (32 - range.prefix)

export const lastOf = (range: Range): number => range.first + sizeOf(range) - 1

/** '10.42.0.0/16', also without '/32'. The host part of the address is dropped. */
export function parseRange(text: string): Range | undefined {
  const [addressText, prefixText = '32'] = text.split('/')
  const address = parseAddress(addressText ?? '')
  const prefix = Number(prefixText)
  if (address === undefined || !/^\d{1,2}$/.test(prefixText) || prefix > 32) return undefined
  const size = 2 ** (32 - prefix)
  return { first: Math.floor(address / size) * size, prefix }
}

/** parseRange for values that were checked before. @throws Error that names the value. */
export function rangeOf(text: string): Range {
  const range = parseRange(text)
  if (!range) throw new Error(`"${text}" is not an IPv4 range such as 10.42.0.0/16`)
  return range
}

export const formatRange = (range: Range): string => `${formatAddress(range.first)}/${range.prefix}`

export const overlaps = (a: Range, b: Range): boolean => a.first <= lastOf(b) && b.first <= lastOf(a)

export const contains = (range: Range, address: number): boolean => address >= range.first && address <= lastOf(range)

/** The n-th address of a range, counted from 0. */
export const nth = (range: Range, n: number): string => formatAddress(range.first + n)

/** The mask of a prefix length: 24 → '255.255.255.0'. */
export const maskOf = (prefix: number): string => formatAddress(2 ** 32 - 2 ** (32 - prefix))

/** Pods are given the lower half by CNI, VMs the upper half by Tandem. Network, gateway and broadcast address are left out. */
export function halves(podCidr: string): {
  podFirst: string
  podLast: string
  machineFirst: number
  machineLast: number
} {
  const range = rangeOf(podCidr)
  if (range.prefix > 28) throw new Error(`the pod range ${podCidr} is too small: give it a prefix of 28 or less`)
  const middle = range.first + sizeOf(range) / 2
  return {
    podFirst: formatAddress(range.first + 2),
    podLast: formatAddress(middle - 1),
    machineFirst: middle,
    machineLast: lastOf(range) - 1,
  }
}
