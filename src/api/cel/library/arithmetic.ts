// Addition and its kin: 64-bit integers that overflow with an error, times and durations.

import { declare, type Library } from '../declarations.ts'
import { CelError } from '../problem.ts'
import { Duration, Timestamp, Uint } from '../values.ts'

const minInt = -(2n ** 63n)
const maxInt = 2n ** 63n - 1n
const maxUint = 2n ** 64n - 1n

export function int(value: bigint): bigint {
  if (value < minInt || value > maxInt) throw new CelError('integer overflow')
  return value
}

export function uint(value: bigint): Uint {
  if (value < 0n || value > maxUint) throw new CelError('unsigned integer overflow')
  return new Uint(value)
}

export function duration(ns: bigint): Duration {
  if (ns < minInt || ns > maxInt) throw new CelError('integer overflow')
  return new Duration(ns)
}

const firstNs = BigInt(Date.parse('0001-01-01T00:00:00Z')) * 1_000_000n
const lastNs = BigInt(Date.parse('9999-12-31T23:59:59Z')) * 1_000_000n + 999_999_999n

export function timestamp(ns: bigint, offset = 0): Timestamp {
  if (ns < firstNs || ns > lastNs) throw new CelError('timestamp overflow')
  return new Timestamp(ns, offset)
}

function divide(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new CelError('division by zero')
  return a / b
}

function modulo(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new CelError('modulus by zero')
  return a % b
}

const ints = (run: (a: bigint, b: bigint) => bigint) => (a: bigint, b: bigint) => int(run(a, b))
const uints = (run: (a: bigint, b: bigint) => bigint) => (a: Uint, b: Uint) => uint(run(a.value, b.value))

function numbers(
  fn: string,
  id: string,
  big: (a: bigint, b: bigint) => bigint,
  double?: (a: number, b: number) => number,
): Library {
  const library = [
    declare(fn, `${id}_int64`, '(int, int) int', ints(big)),
    declare(fn, `${id}_uint64`, '(uint, uint) uint', uints(big)),
  ]
  if (double) library.unshift(declare(fn, `${id}_double`, '(double, double) double', double))
  return library
}

type Moment = Timestamp | Duration
const offsetOf = (a: Moment, b: Moment): number =>
  a instanceof Timestamp ? a.offset : b instanceof Timestamp ? b.offset : 0
const plus = (a: Moment, b: Moment): Timestamp => timestamp(a.ns + b.ns, offsetOf(a, b))

export const arithmetic: Library = [
  declare('_+_', 'add_bytes', '(bytes, bytes) bytes', (a: Uint8Array, b: Uint8Array) => Uint8Array.from([...a, ...b])),
  ...numbers(
    '_+_',
    'add',
    (a, b) => a + b,
    (a, b) => a + b,
  ),
  declare('_+_', 'add_duration_duration', '(duration, duration) duration', (a: Duration, b: Duration) =>
    duration(a.ns + b.ns),
  ),
  declare('_+_', 'add_duration_timestamp', '(duration, timestamp) timestamp', plus),
  declare('_+_', 'add_timestamp_duration', '(timestamp, duration) timestamp', plus),
  declare('_+_', 'add_string', '(string, string) string', (a: string, b: string) => a + b),
  ...numbers(
    '_-_',
    'subtract',
    (a, b) => a - b,
    (a, b) => a - b,
  ),
  declare('_-_', 'subtract_duration_duration', '(duration, duration) duration', (a: Duration, b: Duration) =>
    duration(a.ns - b.ns),
  ),
  declare('_-_', 'subtract_timestamp_duration', '(timestamp, duration) timestamp', (a: Moment, b: Moment) =>
    timestamp(a.ns - b.ns, offsetOf(a, b)),
  ),
  declare('_-_', 'subtract_timestamp_timestamp', '(timestamp, timestamp) duration', (a: Moment, b: Moment) =>
    duration(a.ns - b.ns),
  ),
  ...numbers(
    '_*_',
    'multiply',
    (a, b) => a * b,
    (a, b) => a * b,
  ),
  ...numbers('_/_', 'divide', divide, (a, b) => a / b),
  ...numbers('_%_', 'modulo', modulo),
  declare('-_', 'negate_double', '(double) double', (a: number) => -a),
  declare('-_', 'negate_int64', '(int) int', (a: bigint) => int(-a)),
]
