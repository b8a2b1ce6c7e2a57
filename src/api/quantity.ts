// Amounts with a suffix ("500m", "1Gi", "1e3"): exact, in nano units as BigInt. Rules, limits and error texts mirrored
// from apimachinery api/resource (1.32).

export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent'

export interface Quantity {
  /** The value × 10⁹. */
  readonly nanos: bigint
  readonly format: QuantityFormat
}

export const quantityErrors = {
  format: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
  number: 'unable to parse numeric part of quantity',
  suffix: "unable to parse quantity's suffix",
}

const nano = 1_000_000_000n
const maxInt64 = 2n ** 63n - 1n

const decimalSuffixes = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E']
const binarySuffixes = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei']

const pattern = /^([+-]?)(\d*)(?:\.(\d*))?([eEinumkKMGTP]*[-+]?\d*)$/

/** Longer texts are refused: nobody writes them, and exact arithmetic on them is slow. */
const longest = 256

/** @throws Error with upstream's text */
export function parseQuantity(text: string): Quantity {
  const match = text.length > 0 && text.length <= longest ? pattern.exec(text) : null
  if (!match) throw new Error(quantityErrors.format)
  const [, sign, whole = '', fraction = '', suffix = ''] = match
  if (!whole && match[3] === undefined) throw new Error(quantityErrors.format)
  const digits = BigInt(`${whole}${fraction}` || '0')
  const value = scaled(digits, fraction.length, suffix)
  return sign === '-' ? { nanos: -value.nanos, format: value.format } : value
}

/** digits × 10^-places × suffix, rounded up to whole nanos. */
function scaled(digits: bigint, places: number, suffix: string): Quantity {
  const binary = binarySuffixes.indexOf(suffix)
  if (binary > 0) {
    const nanos = divideUp(digits * 1024n ** BigInt(binary) * nano, 10n ** BigInt(places))
    const capped = nanos > maxInt64 * nano ? maxInt64 * nano : nanos
    return { nanos: capped, format: capped > 0n && capped < nano ? 'DecimalSI' : 'BinarySI' }
  }
  const decimal = decimalSuffixes.indexOf(suffix)
  if (decimal >= 0) return { nanos: shift(digits, decimal * 3 - places), format: 'DecimalSI' }
  const exponent = /^[eE]([-+]?\d+)$/.exec(suffix)
  if (!exponent || exponent[1]!.length > 6) throw new Error(quantityErrors.suffix)
  const power = Number(exponent[1])
  if (power > 1000) throw new Error(quantityErrors.number)
  return { nanos: shift(digits, power - places + 9), format: 'DecimalExponent' }
}

/** digits × 10^power, rounded up. */
function shift(digits: bigint, power: number): bigint {
  if (power >= 0) return digits * 10n ** BigInt(power)
  if (-power > 2000) return digits === 0n ? 0n : 1n
  return divideUp(digits, 10n ** BigInt(-power))
}

const divideUp = (value: bigint, by: bigint): bigint => (value + by - 1n) / by

/** The quantity, or undefined when the text is none. */
export function tryParseQuantity(text: string): Quantity | undefined {
  try {
    return parseQuantity(text)
  } catch {
    return undefined
  }
}

export function formatQuantity(quantity: Quantity): string {
  const { nanos } = quantity
  if (nanos === 0n) return '0'
  const size = nanos < 0n ? -nanos : nanos
  const sign = nanos < 0n ? '-' : ''
  if (quantity.format === 'BinarySI' && size >= 1024n * nano) {
    let value = divideUp(size, nano)
    let step = 0
    for (; step < binarySuffixes.length - 1 && value % 1024n === 0n; step++) value /= 1024n
    return `${sign}${value}${binarySuffixes[step]}`
  }
  let value = size
  let power = -9
  // DecimalSI has no suffix beyond E.
  const limit = quantity.format === 'DecimalExponent' ? 10_000 : 18
  for (; value % 1000n === 0n && power < limit; power += 3) value /= 1000n
  if (quantity.format === 'DecimalExponent') return `${sign}${value}${power === 0 ? '' : `e${power}`}`
  return `${sign}${value}${decimalSuffixes[power / 3 + 3]}`
}

const plainInteger = /^[1-9]\d{0,8}$/

/**
 * The text that the server stores for the one that was sent ("1000m" → "1", "0.5" → "500m").
 * @throws Error with upstream's text
 */
export function canonicalQuantity(text: string): string {
  if (text === '0' || (plainInteger.test(text) && !text.endsWith('000'))) return text
  return keepsItsText(text) ? text : formatQuantity(parseQuantity(text))
}

/**
 * Upstream keeps the text of a number that its parser already finds canonical, which is a little more than it would
 * write itself: "1.500" stays.
 */
function keepsItsText(text: string): boolean {
  const match = pattern.exec(text)
  if (!match) return false
  const whole = match[2]!.replace(/^0+/, '')
  const fraction = match[3] ?? ''
  const suffix = match[4] ?? ''
  const digits = `${whole || '0'}${fraction}`
  if (digits.length > 12 || digits === '0') return false
  if (binarySuffixes.indexOf(suffix) > 0) {
    const room = 15 - (whole.length || 1) - Math.trunc((binarySuffixes.indexOf(suffix) * 10 * 3) / 10) - 1
    return fraction === '' && room >= 0 && BigInt(digits) % 8n !== 0n
  }
  const decimal = decimalSuffixes.indexOf(suffix)
  const exponent = /^[eE]([-+]?\d{1,2})$/.exec(suffix)
  if (decimal < 0 && !exponent) return false
  const scale = (decimal >= 0 ? decimal * 3 - 9 : Number(exponent![1])) - fraction.length
  return scale >= -9 && scale % 3 === 0 && !digits.endsWith('000') && digits[0] !== '0'
}

/** -1, 0 or 1. */
export const compareQuantities = (a: Quantity, b: Quantity): number =>
  a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0

/** The sum, written like the first one that is not zero. */
export const addQuantities = (a: Quantity, b: Quantity): Quantity => ({
  nanos: a.nanos + b.nanos,
  format: a.nanos === 0n ? b.format : a.format,
})

export const subtractQuantities = (a: Quantity, b: Quantity): Quantity => ({
  nanos: a.nanos - b.nanos,
  format: a.nanos === 0n ? b.format : a.format,
})

/** Whole units, rounded up (bytes, cores). */
export const quantityValue = (quantity: Quantity): bigint =>
  quantity.nanos >= 0n ? divideUp(quantity.nanos, nano) : -(-quantity.nanos / nano)

/** Thousandths, rounded up (millicores). */
export const quantityMilli = (quantity: Quantity): bigint =>
  quantity.nanos >= 0n ? divideUp(quantity.nanos, 1_000_000n) : -(-quantity.nanos / 1_000_000n)

export const quantityOf = (value: bigint | number, format: QuantityFormat = 'DecimalSI'): Quantity => ({
  nanos: BigInt(value) * nano,
  format,
})
