// Parts of a timestamp (in UTC or in a time zone) and of a duration.

import { declare, type Library } from '../declarations.ts'
import { CelError } from '../problem.ts'
import type { Duration, Timestamp } from '../values.ts'

const offsetPattern = /^([+-]?)(\d\d):(\d\d)$/
const million = 1_000_000n

/** The time at a place as if it were UTC. */
function shifted(time: Timestamp, zone: string): Date {
  const ms = Number((time.ns - (((time.ns % million) + million) % million)) / million)
  if (zone === '' || zone === 'UTC') return new Date(ms)
  const offset = offsetPattern.exec(zone)
  if (offset) {
    const minutes = Number(offset[2]) * 60 + Number(offset[3])
    return new Date(ms + (offset[1] === '-' ? -1 : 1) * minutes * 60_000)
  }
  let parts: Intl.DateTimeFormatPart[]
  try {
    const format = { timeZone: zone, hourCycle: 'h23', era: 'short' } as const
    const numbers = { year: 'numeric', month: 'numeric', day: 'numeric' } as const
    const clock = { hour: 'numeric', minute: 'numeric', second: 'numeric' } as const
    parts = new Intl.DateTimeFormat('en-US', { ...format, ...numbers, ...clock }).formatToParts(ms)
  } catch {
    throw new CelError(`unknown time zone ${zone}`)
  }
  const part = (type: string): number => Number(parts.find((one) => one.type === type)?.value)
  const date = new Date(0)
  date.setUTCFullYear(part('year'), part('month') - 1, part('day'))
  date.setUTCHours(part('hour'), part('minute'), part('second'), ((ms % 1000) + 1000) % 1000)
  return date
}

const dayOfYear = (date: Date): number => {
  const start = new Date(date)
  start.setUTCMonth(0, 1)
  return Math.round((date.getTime() - start.getTime()) / 86_400_000)
}

const fields: Record<string, [string, (date: Date) => number]> = {
  getFullYear: ['year', (date) => date.getUTCFullYear()],
  getMonth: ['month', (date) => date.getUTCMonth()],
  getDayOfYear: ['day_of_year', dayOfYear],
  getDate: ['day_of_month_1_based', (date) => date.getUTCDate()],
  getDayOfMonth: ['day_of_month', (date) => date.getUTCDate() - 1],
  getDayOfWeek: ['day_of_week', (date) => date.getUTCDay()],
  getHours: ['hours', (date) => date.getUTCHours()],
  getMinutes: ['minutes', (date) => date.getUTCMinutes()],
  getSeconds: ['seconds', (date) => date.getUTCSeconds()],
  getMilliseconds: ['milliseconds', (date) => date.getUTCMilliseconds()],
}

export const timestampParts: Library = Object.entries(fields).flatMap(([fn, [id, read]]) => [
  declare(fn, `timestamp_to_${id}`, 'timestamp.() int', (time: Timestamp) => BigInt(read(shifted(time, '')))),
  declare(fn, `timestamp_to_${id}_with_tz`, 'timestamp.(string) int', (time: Timestamp, zone: string) =>
    BigInt(read(shifted(time, zone))),
  ),
])

export const durationParts: Library = [
  declare('getHours', 'duration_to_hours', 'duration.() int', (value: Duration) => value.ns / 3_600_000_000_000n),
  declare('getMinutes', 'duration_to_minutes', 'duration.() int', (value: Duration) => value.ns / 60_000_000_000n),
  declare('getSeconds', 'duration_to_seconds', 'duration.() int', (value: Duration) => value.ns / 1_000_000_000n),
  declare('getMilliseconds', 'duration_to_milliseconds', 'duration.() int', (value: Duration) => value.ns / million),
]
