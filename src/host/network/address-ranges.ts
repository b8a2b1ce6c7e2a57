// Ranges of IPv4 addresses as sets: a range without others, as the few intervals that are left (pure).

import { formatAddress, lastOf, parseRange } from './addresses.ts'

export type Interval = readonly [first: number, last: number]

const intervalOf = (cidr: string): Interval | undefined => {
  const range = parseRange(cidr)
  return range && [range.first, lastOf(range)]
}

function without(from: Interval, hole: Interval): Interval[] {
  if (hole[1] < from[0] || hole[0] > from[1]) return [from]
  const rest: Interval[] = []
  if (hole[0] > from[0]) rest.push([from[0], hole[0] - 1])
  if (hole[1] < from[1]) rest.push([hole[1] + 1, from[1]])
  return rest
}

/** '10.0.0.0/8' without '10.1.0.0/16'; nothing for IPv6, which nobody speaks here. */
export function subtract(cidr: string, except: string[]): Interval[] {
  const whole = intervalOf(cidr)
  if (!whole) return []
  let rest: Interval[] = [whole]
  for (const hole of except.map(intervalOf)) if (hole) rest = rest.flatMap((part) => without(part, hole))
  return rest
}

/** Sorted, and put together where they touch: the kernel refuses intervals that overlap. */
export function merged(intervals: Interval[]): Interval[] {
  const result: [number, number][] = []
  for (const [first, last] of intervals.toSorted((a, b) => a[0] - b[0])) {
    const before = result.at(-1)
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last)
    else result.push([first, last])
  }
  return result
}

export const formatInterval = ([first, last]: Interval): string =>
  first === last ? formatAddress(first) : `${formatAddress(first)}-${formatAddress(last)}`
