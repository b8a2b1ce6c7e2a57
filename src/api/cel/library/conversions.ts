// Conversions between CEL's basic types, and the accessors of times.

import { declare, type Library } from '../declarations.ts'
import { CelError } from '../problem.ts'
import { type Duration, type Timestamp, Uint } from '../values.ts'
import { duration, int, timestamp, uint } from './arithmetic.ts'
import { durationParts, timestampParts } from './time-parts.ts'
import { doubleText, durationText, parseDurationText, parseTimestamp, timestampText } from './time-text.ts'

const billion = 1_000_000_000n

function doubleToInt(value: number): bigint {
  // The largest double below 2^63 is the last that fits.
  if (!(value > -(2 ** 63) && value < 2 ** 63)) throw new CelError('integer overflow')
  return BigInt(Math.trunc(value))
}

function doubleToUint(value: number): Uint {
  if (!(value >= 0 && value < 2 ** 64)) throw new CelError('unsigned integer overflow')
  return new Uint(BigInt(Math.trunc(value)))
}

const failed = (text: string, type: string): CelError =>
  new CelError(`type conversion error from '${text}' to '${type}'`)

function stringToInt(text: string): bigint {
  if (!/^[+-]?\d+$/.test(text)) throw new CelError(`strconv.ParseInt: parsing "${text}": invalid syntax`)
  const value = BigInt(text.replace(/^\+/, ''))
  if (value !== BigInt.asIntN(64, value)) throw new CelError(`strconv.ParseInt: parsing "${text}": value out of range`)
  return value
}

function stringToUint(text: string): Uint {
  if (!/^\d+$/.test(text)) throw new CelError(`strconv.ParseUint: parsing "${text}": invalid syntax`)
  const value = BigInt(text)
  if (value !== BigInt.asUintN(64, value))
    throw new CelError(`strconv.ParseUint: parsing "${text}": value out of range`)
  return new Uint(value)
}

function stringToDouble(text: string): number {
  const special = /^([+-]?)(?:inf|infinity)$/i.exec(text)
  if (special) return special[1] === '-' ? -Infinity : Infinity
  if (/^nan$/i.test(text)) return Number.NaN
  if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) {
    throw new CelError(`strconv.ParseFloat: parsing "${text}": invalid syntax`)
  }
  return Number(text)
}

function stringToBool(text: string): boolean {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false
  throw failed(text, 'bool')
}

function bytesToString(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new CelError('invalid UTF-8 in bytes, cannot convert to string')
  }
}

/** @throws CelError, also for years beyond 9999 */
function parseMoment(text: string): Timestamp {
  const time = parseTimestamp(text)
  timestamp(time.ns)
  return time
}

const same = (value: unknown): unknown => value

export const conversions: Library = [
  declare('bool', 'bool_to_bool', '(bool) bool', same),
  declare('bool', 'string_to_bool', '(string) bool', stringToBool),
  declare('bytes', 'bytes_to_bytes', '(bytes) bytes', same),
  declare('bytes', 'string_to_bytes', '(string) bytes', (text: string) => new TextEncoder().encode(text)),
  declare('double', 'double_to_double', '(double) double', same),
  declare('double', 'int64_to_double', '(int) double', (value: bigint) => Number(value)),
  declare('double', 'string_to_double', '(string) double', stringToDouble),
  declare('double', 'uint64_to_double', '(uint) double', (value: Uint) => Number(value.value)),
  declare('duration', 'duration_to_duration', '(duration) duration', same),
  declare('duration', 'int64_to_duration', '(int) duration', (value: bigint) => duration(value)),
  declare('duration', 'string_to_duration', '(string) duration', (text: string) => duration(parseDurationText(text))),
  declare('int', 'int64_to_int64', '(int) int', same),
  declare('int', 'double_to_int64', '(double) int', doubleToInt),
  declare('int', 'duration_to_int64', '(duration) int', (value: Duration) => value.ns),
  declare('int', 'string_to_int64', '(string) int', stringToInt),
  declare('int', 'timestamp_to_int64', '(timestamp) int', (value: Timestamp) => floorDivide(value.ns, billion)),
  declare('int', 'uint64_to_int64', '(uint) int', (value: Uint) => int(value.value)),
  declare('string', 'string_to_string', '(string) string', same),
  declare('string', 'bool_to_string', '(bool) string', String),
  declare('string', 'bytes_to_string', '(bytes) string', bytesToString),
  declare('string', 'double_to_string', '(double) string', doubleText),
  declare('string', 'duration_to_string', '(duration) string', (value: Duration) => durationText(value.ns)),
  declare('string', 'int64_to_string', '(int) string', String),
  declare('string', 'timestamp_to_string', '(timestamp) string', (value: Timestamp) => timestampText(value)),
  declare('string', 'uint64_to_string', '(uint) string', (value: Uint) => String(value.value)),
  declare('timestamp', 'timestamp_to_timestamp', '(timestamp) timestamp', same),
  declare('timestamp', 'int64_to_timestamp', '(int) timestamp', (value: bigint) => timestamp(value * billion)),
  declare('timestamp', 'string_to_timestamp', '(string) timestamp', parseMoment),
  declare('uint', 'uint64_to_uint64', '(uint) uint', same),
  declare('uint', 'double_to_uint64', '(double) uint', doubleToUint),
  declare('uint', 'int64_to_uint64', '(int) uint', (value: bigint) => uint(value)),
  declare('uint', 'string_to_uint64', '(string) uint', stringToUint),
  ...timestampParts,
  ...durationParts,
]

function floorDivide(a: bigint, b: bigint): bigint {
  return a / b - (a % b < 0n ? 1n : 0n)
}
