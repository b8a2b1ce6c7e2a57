// string.format: %s %d %f %e %b %o %x %X, in the words of cel-go's strings extension, version 2 (English numbers).

import { textOf, toHex, utf8 } from '../bytes.ts'
import { CelError } from '../problem.ts'
import { CelMap, Duration, Timestamp, TypeValue, typeName, Uint } from '../values.ts'
import { doubleText, durationText, timestampText } from './time-text.ts'

const clause = /%(?:%|(?:\.(\d+))?([\s\S]?))/g

export function formatText(format: string, args: unknown[]): string {
  let next = 0
  return format.replace(clause, (match, precision: string | undefined, letter: string | undefined) => {
    if (match === '%%') return '%'
    if (!letter) throw new CelError('unexpected end of string')
    if (next >= args.length) throw new CelError(`index ${next} out of range`)
    try {
      return formatOne(letter, args[next++], precision === undefined ? 6 : Number(precision))
    } catch (error) {
      throw new CelError(`error during formatting: ${(error as Error).message}`)
    }
  })
}

function formatOne(letter: string, value: unknown, precision: number): string {
  switch (letter) {
    case 's':
      return asText(value)
    case 'd':
      if (integer(value) === undefined) throw wrong('decimal', 'integers', value)
      return String(integer(value))
    case 'f':
      return fixed(double(value, 'fixed-point'), precision)
    case 'e':
      return scientific(double(value, 'scientific'), precision)
    case 'b':
      if (typeof value === 'boolean') return value ? '1' : '0'
      if (integer(value) === undefined) throw wrong('binary', 'integers and bools', value)
      return integer(value)!.toString(2)
    case 'o':
      if (integer(value) === undefined) throw wrong('octal', 'integers', value)
      return integer(value)!.toString(8)
    case 'x':
      return hex(value)
    case 'X':
      return hex(value).toUpperCase()
  }
  throw new CelError(`unrecognized formatting clause "${letter}"`)
}

const wrong = (verb: string, kinds: string, value: unknown): CelError =>
  new CelError(`${verb} clause can only be used on ${kinds}, was given ${typeName(value)}`)

const integer = (value: unknown): bigint | undefined =>
  typeof value === 'bigint' ? value : value instanceof Uint ? value.value : undefined

function double(value: unknown, verb: string): number {
  if (typeof value === 'number') return value
  if (typeof value === 'string' && ['NaN', 'Infinity', '-Infinity'].includes(value)) return Number(value)
  const whole = integer(value)
  if (whole === undefined) throw wrong(verb, 'doubles', value)
  return Number(whole)
}

const unusual = (value: number): string | undefined => {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? undefined : value > 0 ? '∞' : '-∞'
}

function fixed(value: number, precision: number): string {
  const digits = { minimumFractionDigits: precision, maximumFractionDigits: precision }
  return unusual(value) ?? new Intl.NumberFormat('en-US', digits).format(value)
}

function scientific(value: number, precision: number): string {
  const special = unusual(value)
  if (special) return special
  const [mantissa, exponent = ''] = value.toExponential(precision).split('e')
  const digits = exponent.replace(/^[+-]/, '').padStart(2, '0')
  const raised = [...digits].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)]).join('')
  return `${mantissa}×10${exponent.startsWith('-') ? '⁻' : ''}${raised}`
}

function hex(value: unknown): string {
  if (typeof value === 'string') return toHex(typeof value === 'string' ? utf8(value) : value)
  if (value instanceof Uint8Array) return toHex(typeof value === 'string' ? utf8(value) : value)
  const whole = integer(value)
  if (whole === undefined) throw wrong('hex', 'integers, byte buffers, and strings', value)
  return whole.toString(16)
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return doubleText(value)
  if (value instanceof Uint8Array) return textOf(value)
  if (value instanceof Timestamp) return timestampText(value)
  if (value instanceof Duration) return durationText(value.ns)
  if (value instanceof TypeValue) return value.name
  if (typeof value === 'boolean' || value === null) return String(value)
  const whole = integer(value)
  if (whole !== undefined) return String(whole)
  return nested(value)
}

/** Inside lists and maps values look as in an expression. */
function nested(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') return unusual(value) ? `"${unusual(value)}"` : value.toFixed(6)
  if (value instanceof Uint8Array) return `b${JSON.stringify(textOf(value))}`
  if (value instanceof Timestamp) return `timestamp("${timestampText(value)}")`
  if (value instanceof Duration) return `duration("${durationText(value.ns)}")`
  if (Array.isArray(value)) return `[${value.map(nested).join(', ')}]`
  if (value instanceof CelMap) {
    const entries = value.keys().map((key) => [nested(key), nested(value.get(key))] as const)
    return `{${entries
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => `${key}:${item}`)
      .join(', ')}}`
  }
  if (typeof value === 'object' && !(value instanceof Uint) && !(value instanceof TypeValue) && value !== null) {
    throw new CelError(`no formatting function for ${typeName(value)}`)
  }
  return asText(value)
}
