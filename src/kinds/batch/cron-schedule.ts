// When a cron schedule is due: the next moment after a given one, in a time zone. Pure; behaviour of robfig/cron v3, which
// Kubernetes 1.36 uses: an hour that summer time skips is skipped, one that comes twice is met twice.

import { type CronField, type CronFields, cronMacros, parseCronFields } from './cron-fields.ts'

export interface CronSchedule {
  /** The first moment (ms) after `after` at which it is due; undefined when that is more than five years away. */
  next(after: number): number | undefined
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** `timeZone` is an IANA name; a 'TZ=' or 'CRON_TZ=' in the text counts before it. @throws Error with the parser's text */
export function parseCronSchedule(text: string, timeZone?: string): CronSchedule {
  if (text === '') throw new Error('empty spec string')
  const [, ownZone, rest = text] = /^(?:CRON_)?TZ=(\S+)\s+(.*)$/s.exec(text) ?? []
  const zone = ownZone ?? timeZone
  if (ownZone && !isTimeZone(ownZone)) throw new Error(`provided bad location ${ownZone}: unknown time zone ${ownZone}`)
  if (rest.startsWith('@every ')) return everySchedule(rest)
  const fields = rest.startsWith('@') ? cronMacros[rest] : rest
  if (fields === undefined) throw new Error(`unrecognized descriptor: ${rest}`)
  return fieldSchedule(parseCronFields(fields), zone)
}

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name })
    return true
  } catch {
    return false
  }
}

const durationUnits: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: minuteMs, h: hourMs }

function everySchedule(text: string): CronSchedule {
  const duration = text.slice('@every '.length)
  const bad = new Error(`failed to parse duration ${text}: time: invalid duration ${JSON.stringify(duration)}`)
  if (!/^\+?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(duration)) throw bad
  let total = 0
  for (const [, amount, unit] of duration.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(amount) * durationUnits[unit!]!
  const seconds = Math.max(Math.floor(total / 1000), 1)
  return { next: (after) => Math.floor(after / 1000) * 1000 + seconds * 1000 }
}

/** Milliseconds that the zone's clocks are ahead of UTC at a moment. */
function zoneOffset(zone: string | undefined): (at: number) => number {
  if (zone === undefined) return (at) => -new Date(at).getTimezoneOffset() * minuteMs
  if (zone === 'UTC') return () => 0
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' },
  })
  return (at) => {
    const part: Record<string, number> = {}
    for (const { type, value } of format.formatToParts(at)) part[type] = Number(value)
    const local = Date.UTC(part.year!, part.month! - 1, part.day!, part.hour!, part.minute!, part.second!)
    return local - Math.floor(at / 1000) * 1000
  }
}

function fieldSchedule(fields: CronFields, zone: string | undefined): CronSchedule {
  const offsetAt = zoneOffset(zone)
  const has = (field: CronField, value: number) => field.values.has(value)
  const { minute, hour, dayOfMonth, month, dayOfWeek } = fields

  function dayMatches(local: Date): boolean {
    const inMonth = has(dayOfMonth, local.getUTCDate())
    const inWeek = has(dayOfWeek, local.getUTCDay())
    return dayOfMonth.star || dayOfWeek.star ? inMonth && inWeek : inMonth || inWeek
  }

  /** The moment at which the zone's clocks show `local`; where they jump over it, the first moment after the jump. */
  function instantOf(local: number): number {
    const guess = local - offsetAt(local)
    return local - offsetAt(guess)
  }

  function next(after: number): number | undefined {
    const limit = after + 5 * 366 * dayMs
    let at = (Math.floor(after / minuteMs) + 1) * minuteMs
    while (at <= limit) {
      const local = new Date(at + offsetAt(at))
      const [year, monthIndex, day] = [local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate()]
      if (!has(month, monthIndex + 1)) at = later(at, instantOf(Date.UTC(year, monthIndex + 1, 1)))
      else if (!dayMatches(local)) at = later(at, instantOf(Date.UTC(year, monthIndex, day + 1)))
      else if (!has(hour, local.getUTCHours())) at += hourMs - local.getUTCMinutes() * minuteMs
      else if (!has(minute, local.getUTCMinutes())) at += minuteMs
      else return at
    }
    return undefined
  }
  return { next }
}

/** Where midnight itself is skipped, the search still moves on. */
const later = (at: number, candidate: number): number => (candidate > at ? candidate : at + hourMs)
