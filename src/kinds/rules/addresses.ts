// IP addresses and ranges inside objects: as numbers, and as field errors (apimachinery util/validation/ip.go, 1.36). Pure.

import type { FieldError } from '../../api/errors.ts'
import { isIPv4, isIPv6 } from '../../api/walk/formats.ts'
import { invalidValue } from '../../api/walk/rules.ts'

export interface Range {
  family: 4 | 6
  /** The first address. */
  base: bigint
  /** Length of the prefix. */
  length: number
}

/** An address as a number; undefined when it is none. */
export function addressNumber(text: string): { family: 4 | 6; value: bigint } | undefined {
  if (isIPv4(text)) return { family: 4, value: text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n) }
  if (!isIPv6(text)) return undefined
  return { family: 6, value: wordsOf(text).reduce((sum, word) => sum * 65536n + BigInt(word), 0n) }
}

/** The eight words of an IPv6 address. */
function wordsOf(text: string): number[] {
  const [head = '', tail] = text.split('::')
  const words = (part: string) =>
    part
      .split(':')
      .filter((word) => word !== '')
      .flatMap((word) => {
        if (!word.includes('.')) return [Number.parseInt(word, 16)]
        const [a = 0, b = 0, c = 0, d = 0] = word.split('.').map(Number)
        return [a * 256 + b, c * 256 + d]
      })
  if (tail === undefined) return words(head)
  const [first, last] = [words(head), words(tail)]
  return [...first, ...Array<number>(Math.max(0, 8 - first.length - last.length)).fill(0), ...last]
}

export function parseRange(text: string): Range | undefined {
  const [address = '', length = '', more] = text.split('/')
  const number = addressNumber(address)
  if (!number || more !== undefined || !/^(0|[1-9]\d{0,2})$/.test(length)) return undefined
  const bits = number.family === 4 ? 32 : 128
  if (Number(length) > bits) return undefined
  const host = BigInt(bits - Number(length))
  return { family: number.family, base: (number.value >> host) << host, length: Number(length) }
}

/** True when `inner` lies inside `outer` and is smaller. */
export function isStrictlyInside(inner: Range, outer: Range): boolean {
  if (inner.family !== outer.family || inner.length <= outer.length) return false
  const host = BigInt((outer.family === 4 ? 32 : 128) - outer.length)
  return inner.base >> host === outer.base >> host
}

export const checkAddress = (field: string, value: unknown): FieldError[] =>
  typeof value === 'string' && addressNumber(value)
    ? []
    : [invalidValue(field, value ?? '', 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')]

export const checkRange = (field: string, value: unknown): FieldError[] =>
  typeof value === 'string' && parseRange(value)
    ? []
    : [invalidValue(field, value ?? '', 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)')]

const hex = (word: bigint): string => word.toString(16)

/** An IPv6 address in the spelling of RFC 5952; an IPv4 address as it is. */
export function canonicalAddress(text: string): string {
  const number = addressNumber(text)
  if (!number || number.family === 4) return text
  const words = Array.from({ length: 8 }, (_, index) => (number.value >> BigInt(112 - 16 * index)) & 0xffffn)
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && words[start + length] === 0n) length++
    if (length > best.length) best = { start, length }
  }
  if (best.start < 0) return words.map(hex).join(':')
  const left = words.slice(0, best.start).map(hex).join(':')
  return `${left}::${words
    .slice(best.start + best.length)
    .map(hex)
    .join(':')}`
}
