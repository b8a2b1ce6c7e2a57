import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseCronSchedule } from './cron-schedule.ts'

const utc = (text: string): number => Date.parse(`${text}Z`)

function nextOf(schedule: string, after: string, zone = 'UTC'): string | undefined {
  const next = parseCronSchedule(schedule, zone).next(utc(after))
  return next === undefined ? undefined : new Date(next).toISOString().slice(0, 16)
}

test('the next moment of a schedule', () => {
  const table: [schedule: string, after: string, expected: string | undefined, zone?: string][] = [
    ['*/5 * * * *', '2026-01-01T00:02:30', '2026-01-01T00:05'],
    ['0 * * * *', '2026-01-01T00:00', '2026-01-01T01:00'],
    ['30 8 * * 1-5', '2026-01-02T09:00', '2026-01-05T08:30'],
    ['0 0 1 JAN ?', '2026-06-01T00:00', '2027-01-01T00:00'],
    ['0 0 13 * FRI', '2026-02-01T00:00', '2026-02-06T00:00'],
    ['0 0 29 2 *', '2026-01-01T00:00', '2028-02-29T00:00'],
    ['0 0 31 2 *', '2026-01-01T00:00', undefined],
    ['59/30 23 * * *', '2026-01-01T00:00', '2026-01-01T23:59'],
    ['@hourly', '2026-01-01T00:30', '2026-01-01T01:00'],
    ['@weekly', '2026-01-01T00:00', '2026-01-04T00:00'],
    ['@every 1h30m', '2026-01-01T00:00', '2026-01-01T01:30'],
    ['0 3 * * *', '2026-01-01T00:00', '2026-01-01T02:00', 'Europe/Berlin'],
    ['0 3 * * *', '2026-07-01T00:00', '2026-07-01T01:00', 'Europe/Berlin'],
    ['TZ=Asia/Tokyo 0 9 * * *', '2026-01-01T00:30', '2026-01-02T00:00'],
    // Clocks jump from 2 to 3: the time between does not exist that day.
    ['30 2 * * *', '2026-03-28T12:00', '2026-03-30T00:30', 'Europe/Berlin'],
  ]
  for (const [schedule, after, expected, zone] of table)
    assert.equal(nextOf(schedule, after, zone), expected, `${schedule} after ${after}`)
})

test('what the parser says of a bad schedule', () => {
  const table: [string, RegExp][] = [
    ['* * *', /^Error: expected exactly 5 fields, found 3: \[\* \* \*\]$/],
    ['60 * * * *', /end of range \(60\) above maximum \(59\): 60/],
    ['* * 0 * *', /beginning of range \(0\) below minimum \(1\): 0/],
    ['5-1 * * * *', /beginning of range \(5\) beyond end of range \(1\): 5-1/],
    ['*/0 * * * *', /step of range should be a positive number: \*\/0/],
    ['a * * * *', /failed to parse int from a/],
    ['@yesterday', /unrecognized descriptor: @yesterday/],
    ['@every soon', /failed to parse duration @every soon/],
    ['', /empty spec string/],
  ]
  for (const [schedule, text] of table) assert.throws(() => parseCronSchedule(schedule), text)
})
