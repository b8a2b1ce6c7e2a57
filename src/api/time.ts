// Times and durations as Kubernetes writes them: RFC 3339 in UTC to the second, with microseconds (MicroTime), and
// Go's duration text.

/** '2026-01-01T00:00:00Z' */
export function formatTime(ms: number): string {
  const second = Math.floor(ms / 1000)
  if (second !== lastSecond) {
    lastText = `${new Date(second * 1000).toISOString().slice(0, 19)}Z`
    lastSecond = second
  }
  return lastText
}

/** Nearly all asked-for times are now. */
let lastSecond = Number.NaN
let lastText = ''

/** '2026-01-01T00:00:00.123000Z': a MicroTime, from milliseconds and the microseconds beyond them. */
export function formatMicroTime(ms: number, micros = 0): string {
  const whole = Math.floor(ms)
  return `${new Date(whole).toISOString().slice(0, 23)}${String(Math.floor(micros) % 1000).padStart(3, '0')}Z`
}

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/
const daysIn = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Milliseconds since 1970 (with a fraction), or undefined when the text is no RFC 3339 time. */
export function parseTime(text: string): number | undefined {
  const match = rfc3339.exec(text)
  if (!match) return undefined
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, ...number[]]
  if (!inCalendar(year, month!, day!) || hour! > 23 || minute! > 59 || second! > 59) return undefined
  const zone = match[8]!
  if (zone !== 'Z' && (Number(zone.slice(1, 3)) > 24 || Number(zone.slice(4)) > 59)) return undefined
  const offset = zone === 'Z' ? 0 : (zone[0] === '-' ? -1 : 1) * (Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4)))
  const date = new Date(0)
  date.setUTCFullYear(year, month! - 1, day!)
  date.setUTCHours(hour!, minute!, second!, 0)
  const fraction = match[7] ? Number(`0.${match[7]}`) * 1000 : 0
  return date.getTime() - offset * 60_000 + fraction
}

function inCalendar(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false
  const leap = month === 2 && (year % 4 === 0 ? year % 100 !== 0 || year % 400 === 0 : false)
  return day <= daysIn[month - 1]! + (leap ? 1 : 0)
}

/** The same moment as Kubernetes would write it, or undefined when it does not parse. */
export function canonicalTime(text: string): string | undefined {
  const ms = parseTime(text)
  if (ms === undefined) return undefined
  return text.length === 20 && text.endsWith('Z') ? text : formatTime(ms)
}

/** The same for a MicroTime; the fraction is cut after the sixth digit. */
export function canonicalMicroTime(text: string): string | undefined {
  const ms = parseTime(text)
  if (ms === undefined) return undefined
  const fraction = (rfc3339.exec(text)![7] ?? '').slice(0, 6).padEnd(6, '0')
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}.${fraction}Z`
}

/** What Go's time.Parse says of a text that is no RFC 3339 time. */
export function timeError(text: string, micro = false): string {
  const layout = micro ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00'
  const said = `parsing time ${JSON.stringify(text)} as ${JSON.stringify(layout)}`
  const parts: [RegExp, string][] = [
    [/^\d{4}/, '2006'],
    [/^-/, '-'],
    [/^\d\d/, '01'],
    [/^-/, '-'],
    [/^\d\d/, '02'],
    [/^T/, 'T'],
    [/^\d\d/, '15'],
    [/^:/, ':'],
    [/^\d\d/, '04'],
    [/^:/, ':'],
    [/^\d\d(?:[.,]\d+)?/, '05'],
    [/^(?:Z|[+-]\d\d:\d\d)/, 'Z07:00'],
  ]
  let rest = text
  for (const [pattern, name] of parts) {
    const match = pattern.exec(rest)
    if (!match) return `${said}: cannot parse ${JSON.stringify(rest)} as ${JSON.stringify(name)}`
    rest = rest.slice(match[0].length)
  }
  if (rest) return `${said}: extra text: ${JSON.stringify(rest)}`
  const [, year, month, day, hour, minute] = rfc3339.exec(text)!.map(Number) as [number, ...number[]]
  let range = 'second'
  if (month! < 1 || month! > 12) range = 'month'
  else if (!inCalendar(year!, month!, day!)) range = 'day'
  else if (hour! > 23) range = 'hour'
  else if (minute! > 59) range = 'minute'
  return `parsing time ${JSON.stringify(text)}: ${range} out of range`
}

const unitNanos: Record<string, bigint> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
}

/** Nanoseconds of a Go duration ('1h30m', '1.5s'), or undefined when it does not parse. */
export function parseDurationNanos(text: string): bigint | undefined {
  const match = /^([+-]?)(.+)$/.exec(text)
  if (!match || text.length > 100) return undefined
  if (match[2] === '0') return 0n
  let rest = match[2]!
  let total = 0n
  while (rest) {
    const part = /^(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/.exec(rest)
    if (!part || (!part[1] && !part[2])) return undefined
    const unit = unitNanos[part[3]!]!
    const fraction = part[2] ?? ''
    total += BigInt(part[1] || '0') * unit + (BigInt(fraction || '0') * unit) / 10n ** BigInt(fraction.length)
    rest = rest.slice(part[0].length)
  }
  return match[1] === '-' ? -total : total
}

/** Milliseconds of a Go duration. */
export function parseDuration(text: string): number | undefined {
  const nanos = parseDurationNanos(text)
  return nanos === undefined ? undefined : Number(nanos) / 1e6
}

/** Go's Duration.String(): '1h0m0s', '1.5s', '20ms', '0s'. */
export function formatDurationNanos(nanos: bigint): string {
  if (nanos === 0n) return '0s'
  const sign = nanos < 0n ? '-' : ''
  const size = nanos < 0n ? -nanos : nanos
  const decimal = (unit: bigint, name: string): string => {
    const fraction = (size % unit)
      .toString()
      .padStart(unit.toString().length - 1, '0')
      .replace(/0+$/, '')
    return `${sign}${size / unit}${fraction && `.${fraction}`}${name}`
  }
  if (size < 1000n) return `${sign}${size}ns`
  if (size < 1_000_000n) return decimal(1000n, 'µs')
  if (size < 1_000_000_000n) return decimal(1_000_000n, 'ms')
  const hours = size / unitNanos.h!
  const minutes = (size % unitNanos.h!) / unitNanos.m!
  const rest = size % unitNanos.m!
  const fraction = (rest % unitNanos.s!).toString().padStart(9, '0').replace(/0+$/, '')
  const seconds = `${rest / unitNanos.s!}${fraction && `.${fraction}`}s`
  if (hours) return `${sign}${hours}h${minutes}m${seconds}`
  return minutes ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`
}

/** A duration in ms as people read it in a list: '5s', '3m20s', '47h', '5d3h' (apimachinery util/duration, 1.32). */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 120) return `${seconds}s`
  const two = (large: number, unit: string, small: number, smallUnit: string): string =>
    small === 0 ? `${large}${unit}` : `${large}${unit}${small}${smallUnit}`
  const minutes = Math.trunc(seconds / 60)
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.trunc(minutes / 60)
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.trunc(hours / 24)
  if (hours < 192) return two(days, 'd', hours % 24, 'h')
  if (hours < 24 * 365 * 2) return `${days}d`
  const years = Math.trunc(days / 365)
  return hours < 24 * 365 * 8 ? two(years, 'y', days % 365, 'd') : `${years}y`
}
