// Times, durations and doubles as text, the way Go reads and writes them.

import { parseDurationNanos } from '../../time.ts'
import { CelError } from '../problem.ts'
import { Timestamp } from '../values.ts'

const million = 1_000_000n
const billion = 1_000_000_000n
const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)$/

/** @throws CelError */
export function parseTimestamp(text: string): Timestamp {
  const time = readTimestamp(text)
  if (time === undefined) throw new CelError(`parsing time "${text}" as "2006-01-02T15:04:05Z07:00": cannot parse`)
  return time
}

/** undefined when it is no RFC 3339 time. */
export function readTimestamp(text: string): Timestamp | undefined {
  const match = rfc3339.exec(text)
  if (!match) return undefined
  const [, year, month, day, hour, minute, second, fraction = '', zone = ''] = match
  const date = `${year}-${month}-${day}`
  const seconds = Date.parse(`${date}T${hour}:${minute}:${second}${zone.toUpperCase()}`)
  // Date.parse rolls 31 February over; Go refuses it.
  if (Number.isNaN(seconds) || new Date(`${date}T00:00:00Z`).getUTCDate() !== Number(day)) return undefined
  const ns = BigInt(seconds) * million + BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return new Timestamp(ns, offsetOf(zone))
}

function offsetOf(zone: string): number {
  if (zone.toUpperCase() === 'Z') return 0
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4))
  return zone.startsWith('-') ? -minutes : minutes
}

function offsetText(offset: number): string {
  if (offset === 0) return 'Z'
  const size = Math.abs(offset)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

/** RFC 3339 with as many digits of the fraction as there are. */
export function timestampText(time: Timestamp): string {
  const ns = time.ns + BigInt(time.offset) * 60n * billion
  let seconds = ns / billion
  let rest = ns % billion
  if (rest < 0n) {
    rest += billion
    seconds--
  }
  const date = new Date(Number(seconds) * 1000).toISOString().replace(/\.\d+Z$/, '')
  const fraction = rest === 0n ? '' : `.${String(rest).padStart(9, '0').replace(/0+$/, '')}`
  return `${date.replace(/^[+-]\d\d(\d{4})/, '$1')}${fraction}${offsetText(time.offset)}`
}

/** @throws CelError */
export function parseDurationText(text: string): bigint {
  const ns = parseDurationNanos(text)
  if (ns === undefined) throw new CelError(`time: invalid duration ${JSON.stringify(text)}`)
  return ns
}

/** Seconds, as CEL's string() writes a duration. */
export function durationText(ns: bigint): string {
  const sign = ns < 0n ? '-' : ''
  const size = ns < 0n ? -ns : ns
  const rest = size % billion
  const fraction = rest === 0n ? '' : `.${String(rest).padStart(9, '0').replace(/0+$/, '')}`
  return `${sign}${size / billion}${fraction}s`
}

/** Go's %g. */
export function doubleText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  const [mantissa, exponent] = value.toExponential().split('e')
  const power = Number(exponent)
  const sign = Object.is(value, -0) ? '-' : ''
  if (power >= -4 && power < 6) return sign + String(value)
  return `${sign}${mantissa}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`
}
